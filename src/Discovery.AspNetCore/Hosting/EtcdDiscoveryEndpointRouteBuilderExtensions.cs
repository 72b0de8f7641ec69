using System.Diagnostics.CodeAnalysis;
using Discovery.AspNetCore;
using Discovery.AspNetCore.Diagnostics.Page;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Maps the page that shows registration and discovery.</summary>
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
}
