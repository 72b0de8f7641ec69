using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Discovery.EmbeddedEtcd.Hosting;

/// <summary>Starts the embedded etcd before any other service of the host, and stops it after them.</summary>
internal sealed partial class EmbeddedEtcdService(EmbeddedEtcdServer etcd, IHostEnvironment environment, ILoggerFactory loggerFactory) : IHostedLifecycleService
{
    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        await etcd.RunAsync(loggerFactory, cancellationToken);
        if (!environment.IsDevelopment())
        {
            Log.OutsideDevelopment(loggerFactory.CreateLogger<EmbeddedEtcdServer>(), environment.EnvironmentName);
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StoppedAsync(CancellationToken cancellationToken) => await etcd.DisposeAsync();

    private static partial class Log
    {
        [LoggerMessage(3, LogLevel.Warning, "The embedded etcd runs in the environment {Environment}, because it was allowed to. Its data are lost when this process ends, and no other machine sees them.")]
        public static partial void OutsideDevelopment(ILogger logger, string environment);
    }
}
