using Discovery.AspNetCore.Layouts;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Watching;

/// <summary>Finds out from the settings in which layouts services are read.</summary>
/// <param name="options">The settings of services.</param>
/// <param name="layouts">The layouts.</param>
/// <param name="findServices">The services that the settings or clients name, each with the name of its options.</param>
internal sealed class ListingPlanner(
    IOptionsMonitor<EtcdDiscoveryOptions> options, LayoutCatalog layouts, Func<IEnumerable<(string ServiceName, string OptionsName)>> findServices)
{
    /// <summary>Plans for one cluster.</summary>
    /// <param name="cluster">The cluster; null for the default one.</param>
    /// <param name="hasEndpoints">Whether the cluster can be asked; if not, only the settings can.</param>
    /// <param name="time">The clock.</param>
    public ListingPlan Create(string? cluster, bool hasEndpoints, TimeProvider time)
    {
        List<(string ServiceName, EtcdDiscoveryOptions Options)> named =
        [
            .. findServices().Select(s => (s.ServiceName, Options: TryGet(s.OptionsName)!))
                .Where(s => s.Options is not null && string.Equals(s.Options.Cluster ?? "", cluster ?? "", StringComparison.OrdinalIgnoreCase)),
        ];
        List<ListedService> configured =
        [
            .. named.Where(static s => s.Options.Instances.Count > 0).DistinctBy(static s => s.ServiceName)
                .Select(s => Describe(s.ServiceName, cluster, s.Options, time)),
        ];
        var read = hasEndpoints
            ? RecordPrecedence.Order(named.Where(static s => s.Options.Instances.Count == 0).Select(static s => s.Options.Layout)
                .Append(options.CurrentValue.Layout).SelectMany(layouts.Parse)).ToList()
            : [];
        var byRoot = read.Where(static l => !string.IsNullOrEmpty(l.RootPrefix)).GroupBy(static l => l.RootPrefix!, StringComparer.Ordinal).ToList();
        return new ListingPlan(
            [
                .. byRoot.Select(root => new ServiceRoot(
                    root.Key,
                    [.. root.DistinctBy(static l => l.Name)],
                    [.. byRoot.Select(static other => other.Key).Where(other => other != root.Key && other.StartsWith(root.Key, StringComparison.Ordinal))])),
            ],
            [.. read.Where(static l => string.IsNullOrEmpty(l.RootPrefix)).Select(static l => l.Name).Distinct(StringComparer.Ordinal)],
            configured);
    }

    private static ListedService Describe(string serviceName, string? cluster, EtcdDiscoveryOptions options, TimeProvider time) => new()
    {
        ServiceName = serviceName,
        Cluster = cluster,
        Instances = [.. new StaticService(serviceName, options.Instances, time).Feed.Current!.Instances.OrderBy(static i => i.Address, StringComparer.Ordinal)],
    };

    private EtcdDiscoveryOptions? TryGet(string optionsName)
    {
        try
        {
            return options.Get(optionsName);
        }
        catch (Exception e) when (e is OptionsValidationException or InvalidOperationException)
        {
            // Said to whoever calls the service. The others are listed all the same.
            return null;
        }
    }
}
