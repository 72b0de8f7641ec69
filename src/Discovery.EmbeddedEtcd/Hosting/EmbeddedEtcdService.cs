using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.EmbeddedEtcd.Hosting;

/// <summary>Starts the embedded etcd before any other service of the host, and stops it after them.</summary>
/// <param name="etcd">The embedded etcd.</param>
/// <param name="environment">The environment, which is to be Development.</param>
/// <param name="configuration">May say otherwise.</param>
/// <param name="clientOptions">The options of the application's clients, by the names of their clusters.</param>
/// <param name="namedClusters">The clusters that the application has beside the default one.</param>
/// <param name="loggerFactory">Where to log.</param>
internal sealed partial class EmbeddedEtcdService(
    EmbeddedEtcdServer etcd,
    IHostEnvironment environment,
    IConfiguration configuration,
    IOptionsMonitor<EtcdClientOptions> clientOptions,
    IReadOnlyList<string> namedClusters,
    ILoggerFactory loggerFactory) : IHostedLifecycleService
{
    private readonly ILogger _logger = loggerFactory.CreateLogger<EmbeddedEtcdServer>();

    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        CheckClientOptions();
        await etcd.RunAsync(loggerFactory, cancellationToken).ConfigureAwait(false);
        if (!environment.IsDevelopment())
        {
            Log.OutsideDevelopment(_logger, environment.EnvironmentName);
        }

        foreach (var (setting, value) in EndpointSettings.Configured(configuration).Where(s => s.Value != etcd.Endpoint))
        {
            Log.SettingOverridden(_logger, setting, EndpointSettings.Printable(value), etcd.Endpoint);
        }

        foreach (var cluster in namedClusters)
        {
            if (EndpointsOf(cluster) is { } endpoints && endpoints.Any(e => e != etcd.Endpoint))
            {
                Log.NamedCluster(_logger, cluster, string.Join(", ", endpoints.Select(EndpointSettings.Printable)));
            }
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StoppedAsync(CancellationToken cancellationToken) => await etcd.DisposeAsync().ConfigureAwait(false);

    // Nothing but another PostConfigure can come after ours. To start would be to meet an etcd that this application must not meet.
    private void CheckClientOptions()
    {
        if (EndpointsOf(Options.DefaultName) is not { } endpoints)
        {
            return;
        }

        if (endpoints is not [var endpoint] || endpoint != etcd.Endpoint)
        {
            throw new InvalidOperationException(
                $"AddEmbeddedEtcd() sets {nameof(EtcdClientOptions)}.{nameof(EtcdClientOptions.Endpoints)} to {etcd.Endpoint}, and a later "
                + $"PostConfigure<{nameof(EtcdClientOptions)}> in this application sets it to "
                + $"'{string.Join(", ", endpoints.Select(EndpointSettings.Printable))}'. Remove one of the two.");
        }
    }

    /// <summary>The endpoints of a cluster; null when some other setting of it is wrong: whoever needs the client says which.</summary>
    private IList<string>? EndpointsOf(string cluster)
    {
        try
        {
            return clientOptions.Get(cluster).Endpoints;
        }
        catch (Exception e) when (e is OptionsValidationException or InvalidOperationException)
        {
            return null;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(3003, LogLevel.Warning, "The embedded etcd runs in the environment {Environment}, because it was allowed to. Its data are lost when this process ends, and no other machine sees them.")]
        public static partial void OutsideDevelopment(ILogger logger, string environment);

        [LoggerMessage(3004, LogLevel.Warning, "{Setting} is '{Value}', by a configuration source that was added after AddEmbeddedEtcd(). Clients of this application use the embedded etcd on {Endpoint} all the same; what reads the setting itself does not. Add the source before, or remove AddEmbeddedEtcd().")]
        public static partial void SettingOverridden(ILogger logger, string setting, string value, string endpoint);

        [LoggerMessage(3005, LogLevel.Warning, "The embedded etcd stands for the default cluster alone; the cluster '{Cluster}' has its own endpoints ({Endpoints}), and this application goes there. See that this is not the etcd of production.")]
        public static partial void NamedCluster(ILogger logger, string cluster, string endpoints);
    }
}
