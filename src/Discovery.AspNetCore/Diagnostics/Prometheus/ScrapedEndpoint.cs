namespace Discovery.AspNetCore.Diagnostics.Prometheus;

/// <summary>Chooses the endpoint of a process that is scraped: all of them have the same metrics, which are to be counted once.</summary>
internal static class ScrapedEndpoint
{
    /// <summary>One endpoint of each process; of records that do not say their process, each.</summary>
    /// <param name="instances">The instances of a service.</param>
    /// <param name="endpoint">The endpoint to prefer; null for none.</param>
    public static IEnumerable<ServiceInstance> Choose(IEnumerable<ServiceInstance> instances, string? endpoint)
        => instances.GroupBy(static i => i.InstanceId ?? i.Address, StringComparer.Ordinal)
            .Select(process => process.MinBy(i => (!HasName(i, endpoint), Difficulty(i), i.Scheme, i.Address))!);

    private static bool HasName(ServiceInstance instance, string? endpoint)
        => !string.IsNullOrEmpty(endpoint) && instance.EndpointName.Equals(endpoint, StringComparison.OrdinalIgnoreCase);

    /// <summary>Prometheus speaks HTTP/1.1, and HTTP/2 where TLS agrees on it.</summary>
    private static int Difficulty(ServiceInstance instance)
        => instance.Protocols != InstanceProtocols.Http2 ? 0 : instance.Scheme == Uri.UriSchemeHttps ? 1 : 2;
}
