namespace Discovery.AspNetCore.Connections;

/// <summary>
/// The host that stands for a service in a URI. Calls are routed by the registered name, which may hold what a host cannot: that is replaced, so
/// several services may have one host.
/// </summary>
internal static class ServiceHost
{
    public static string Of(string serviceName)
    {
        var host = string.Concat(serviceName.Select(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' ? c : '-')).Trim('.', '-');
        return Uri.CheckHostName(host) == UriHostNameType.Dns ? host : "service";
    }

    /// <summary>Whether a host is what stands for a service, and stands for others too, which have another name.</summary>
    public static bool IsShared(string host, string serviceName)
        => !host.Equals(serviceName, StringComparison.OrdinalIgnoreCase) && host.Equals(Of(serviceName), StringComparison.OrdinalIgnoreCase);
}
