using System.Text.Json;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Feeds;
using Discovery.AspNetCore.Watching;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Diagnostics.Prometheus;

/// <summary>
/// The registered instances as targets, for Prometheus' HTTP service discovery. Prometheus keeps its targets when a request fails and drops all
/// that an answer lacks: so there is no answer rather than one of which it is not known that it is complete.
/// </summary>
internal sealed partial class PrometheusTargets
{
    private readonly EtcdPrometheusOptions _options;
    private readonly IServiceDirectory _directory;
    private readonly CallableInstances _callable;
    private readonly DiscoverySettings _settings;
    private readonly OpenImTargets? _openIm;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    /// <summary>Prepares; nothing is asked of etcd before the first request.</summary>
    /// <exception cref="InvalidOperationException">The cluster was never added.</exception>
    public PrometheusTargets(IServiceProvider services, EtcdPrometheusOptions options)
    {
        var cluster = services.GetRequiredService<ClusterCatalog>().Get(options.Cluster);
        _options = options;
        _directory = cluster.GetService<IServiceDirectory>(services);
        _settings = services.GetRequiredService<DiscoverySettings>();
        _time = services.GetRequiredKeyedService<TimeProvider>(EtcdServiceKeys.TimeProvider);
        _logger = services.GetRequiredService<ILogger<IServiceDirectory>>();
        _callable = CallableInstances.Create(services);
        if (options.OpenImPrefix is { Length: > 0 } prefix)
        {
            var stopping = services.GetService<IHostApplicationLifetime>()?.ApplicationStopping ?? CancellationToken.None;
            _openIm = new OpenImTargets(
                cluster.GetService<IServiceSource>(services), prefix.EndsWith('/') ? prefix : prefix + "/", _time, _logger, stopping);
        }
    }

    public async Task WriteAsync(HttpContext context)
    {
        var response = context.Response;
        response.Headers.CacheControl = "no-store";
        IReadOnlyList<TargetGroup> groups;
        try
        {
            groups = await FindAsync(context.Request.Query, context.RequestAborted).ConfigureAwait(false);
        }
        catch (ServiceDiscoveryException e)
        {
            Log.NotKnown(_logger, e.Message);
            response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            response.ContentType = "text/plain; charset=utf-8";
            await response.WriteAsync("The services are not known yet: etcd has not answered.", context.RequestAborted).ConfigureAwait(false);
            return;
        }

        // Prometheus takes this type and no other.
        response.ContentType = "application/json";
        await JsonSerializer.SerializeAsync(response.Body, groups, TargetJson.Default.IReadOnlyListTargetGroup, context.RequestAborted).ConfigureAwait(false);
    }

    private async Task<IReadOnlyList<TargetGroup>> FindAsync(IQueryCollection query, CancellationToken cancellationToken)
    {
        var asked = query["service"].OfType<string>().ToHashSet(StringComparer.Ordinal);
        bool IsWanted(string serviceName)
            => (_options.Services.Count == 0 || _options.Services.Contains(serviceName)) && (asked.Count == 0 || asked.Contains(serviceName));

        var endpoint = query["endpoint"].ToString() is { Length: > 0 } named ? named : _options.Endpoint;
        var listing = await _directory.ListServicesAsync(cancellationToken).ConfigureAwait(false);
        var groups = listing.Services.Where(s => IsWanted(s.ServiceName)).SelectMany(service =>
            ScrapedEndpoint.Choose(service.Instances.Where(_callable.MayBeDialled), endpoint)
                .Select(instance => new TargetGroup([instance.Address], TargetLabels.Of(service, instance)))).ToList();
        if (_openIm is not null)
        {
            var targets = await _openIm.GetAsync(_settings.GetGeneral().ReadyTimeout, cancellationToken).ConfigureAwait(false);
            groups.AddRange(targets.Where(t => IsWanted(t.Instance.ServiceName) && _callable.MayBeDialled(t.Instance)).Select(static t => t.Group));
        }

        return groups;
    }

    private static partial class Log
    {
        [LoggerMessage(2851, LogLevel.Warning, "Prometheus gets no answer (503) and keeps the targets it has, for the services are not known yet. {Problem}")]
        public static partial void NotKnown(ILogger logger, string problem);
    }
}
