namespace Discovery.AspNetCore.Http;

/// <summary>The words of the setting <see cref="EtcdDiscoveryOptions.TlsTargetHost"/>.</summary>
internal static class TlsTarget
{
    public const string Service = "service";
    public const string Endpoint = "endpoint";

    /// <summary>The name to expect of an instance, or null for the one in the request's URI.</summary>
    public static string? HostOf(string setting, string endpointHost)
        => setting.Equals(Service, StringComparison.OrdinalIgnoreCase) ? null
            : setting.Equals(Endpoint, StringComparison.OrdinalIgnoreCase) ? endpointHost
            : setting;
}
