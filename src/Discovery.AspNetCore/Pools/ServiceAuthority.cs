using Discovery.AspNetCore.Connections;

namespace Discovery.AspNetCore.Pools;

/// <summary>
/// The base address of a client. Its host is only what servers see as the authority: calls are routed by the registered name, which may
/// hold what a host cannot.
/// </summary>
internal static class ServiceAuthority
{
    public static Uri BaseAddress(string scheme, string serviceName) => new($"{scheme}://{ServiceHost.Of(serviceName)}/");
}
