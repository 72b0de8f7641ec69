using System.Diagnostics.CodeAnalysis;
using Discovery.AspNetCore;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Diagnostics.Page;
using Discovery.AspNetCore.Diagnostics.Prometheus;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Maps what shows registration and discovery to people and to Prometheus.</summary>
public static class EtcdDiscoveryEndpointRouteBuilderExtensions
{
    /// <summary>
    /// Maps a page that shows, live, this application's registration, the services it calls with their instances, and where its calls go
    /// and why. The same as JSON for <c>Accept: application/json</c> or <c>?format=json</c>, as text for <c>Accept: text/plain</c> or
    /// <c>?format=text</c>, and as server-sent events under <c>/events</c>. It tells addresses and metadata of services: keep it from the
    /// public, e.g. by <c>RequireAuthorization</c> or <c>RequireHost</c>. Nothing is mapped without this call.
    /// </summary>
    /// <param name="endpoints">The application's routes.</param>
    /// <param name="pattern">Where. Default: <c>/discovery</c>.</param>
    /// <returns>The conventions of all its routes.</returns>
    /// <exception cref="InvalidOperationException">Neither registration nor discovery is added to the services.</exception>
    public static IEndpointConventionBuilder MapEtcdDiscovery(
        this IEndpointRouteBuilder endpoints, [StringSyntax("Route")] string pattern = "/discovery")
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        var services = endpoints.ServiceProvider;
        if (services.GetKeyedService<TimeProvider>(EtcdServiceKeys.TimeProvider) is null)
        {
            throw new InvalidOperationException(
                "MapEtcdDiscovery has nothing to show: call AddEtcdRegistration or AddEtcdDiscovery on the builder's Services first.");
        }

        var page = new DiscoveryPage(services);
        var group = endpoints.MapGroup(pattern);
        group.MapGet("", (RequestDelegate)page.ShowAsync).WithDisplayName("etcd discovery");
        group.MapGet("events", (RequestDelegate)page.StreamAsync).WithDisplayName("etcd discovery, events");
        return group;
    }

    /// <summary>
    /// Maps the registered instances of all services as targets for Prometheus' HTTP service discovery (<c>http_sd_configs</c>): one of each
    /// process, those that drain among them, with what their records say as labels <c>__meta_etcd_…</c>. While etcd is away the last known
    /// targets are given; before any are known the answer is 503, and Prometheus keeps what it has. It tells addresses and metadata of
    /// services: keep it from the public, e.g. by <c>RequireAuthorization</c> or <c>RequireHost</c>.
    /// </summary>
    /// <param name="endpoints">The application's routes.</param>
    /// <param name="pattern">Where. Default: <c>/sd</c>.</param>
    /// <param name="configure">Chooses targets. Default: all.</param>
    /// <returns>The conventions of the route.</returns>
    /// <exception cref="InvalidOperationException">Discovery is not added to the services, or the cluster is not.</exception>
    public static IEndpointConventionBuilder MapEtcdPrometheusTargets(
        this IEndpointRouteBuilder endpoints, [StringSyntax("Route")] string pattern = "/sd", Action<EtcdPrometheusOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        var services = endpoints.ServiceProvider;
        if (services.GetService<ClusterCatalog>() is null || services.GetService<IServiceDirectory>() is null)
        {
            throw new InvalidOperationException(
                "MapEtcdPrometheusTargets has no services to list: call AddEtcdDiscovery on the builder's Services first.");
        }

        var options = new EtcdPrometheusOptions();
        configure?.Invoke(options);
        return endpoints.MapGet(pattern, (RequestDelegate)new PrometheusTargets(services, options).WriteAsync).WithDisplayName("etcd targets for Prometheus");
    }
}
