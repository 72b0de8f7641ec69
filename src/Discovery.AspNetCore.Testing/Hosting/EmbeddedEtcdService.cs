using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Testing.Hosting;

/// <summary>Starts the embedded etcd before any other service of the host, and stops it after them.</summary>
internal sealed class EmbeddedEtcdService(EmbeddedEtcd etcd, ILoggerFactory loggerFactory) : IHostedLifecycleService
{
    public Task StartingAsync(CancellationToken cancellationToken) => etcd.RunAsync(loggerFactory, cancellationToken);

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StoppedAsync(CancellationToken cancellationToken) => await etcd.DisposeAsync();
}
