using Discovery.AspNetCore.Clusters;
using Microsoft.Extensions.Hosting;

namespace Discovery.AspNetCore.Registration;

/// <summary>
/// Runs the registrations in all clusters side by side. The host runs the stages of its services one after the other, so that a cluster that
/// is away would hold up the drain in the others, and the delays would add up.
/// </summary>
internal sealed class RegistrationGroup(ClusterCatalog clusters, IServiceProvider services) : IHostedLifecycleService
{
    private readonly List<RegistrationService> _registrations = [.. clusters.Registering.Select(c => c.GetService<RegistrationService>(services))];

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.WhenAll(_registrations.Select(r => r.StartedAsync(cancellationToken)));

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.WhenAll(_registrations.Select(r => r.StoppingAsync(cancellationToken)));

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
