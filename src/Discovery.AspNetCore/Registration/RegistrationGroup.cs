using Discovery.AspNetCore.Clusters;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>
/// Runs the registrations in all clusters side by side. The host runs the stages of its services one after the other, so that a cluster that
/// is away would hold up the drain in the others, and the delays would add up.
/// </summary>
internal sealed partial class RegistrationGroup(ClusterCatalog clusters, IServiceProvider services, ILogger<IServiceRegistration> logger) : IHostedLifecycleService
{
    private const string NoStages =
        "This application is not registered in etcd: its host, as WebHost.CreateDefaultBuilder makes it, does not tell when it has started, nor when it begins "
        + "to stop. Build it by WebApplication.CreateBuilder, or by Host.CreateDefaultBuilder().ConfigureWebHostDefaults(…); or set Etcd:Registration:Enabled to false.";

    private readonly List<RegistrationService> _registrations = [.. clusters.Registering.Select(c => c.GetService<RegistrationService>(services))];
    private bool _hasStages;

    public Task StartingAsync(CancellationToken cancellationToken)
    {
        _hasStages = true;
        return Task.CompletedTask;
    }

    /// <summary>The one stage that the hosts from before the generic one have too.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (!_hasStages)
        {
            var enabled = clusters.Registering.Select(c => c.GetService<RegistrationSettings>(services).Current).Where(static s => s.Enabled).ToList();
            if (enabled.Exists(static s => s.FailFast))
            {
                throw new InvalidOperationException(NoStages);
            }

            if (enabled.Count > 0)
            {
                Log.HasNoStages(logger);
            }
        }

        return Task.CompletedTask;
    }

    public Task StartedAsync(CancellationToken cancellationToken) => Task.WhenAll(_registrations.Select(r => r.StartedAsync(cancellationToken)));

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.WhenAll(_registrations.Select(r => r.StoppingAsync(cancellationToken)));

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static partial class Log
    {
        [LoggerMessage(2771, LogLevel.Error, NoStages)]
        public static partial void HasNoStages(ILogger logger);
    }
}
