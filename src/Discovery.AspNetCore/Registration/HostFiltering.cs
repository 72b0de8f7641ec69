using Discovery.AspNetCore.Pools;
using Microsoft.AspNetCore.HostFiltering;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Registration;

/// <summary>Which hosts the application answers to, by ASP.NET Core's <c>AllowedHosts</c>; calls for others get a 400.</summary>
internal static class HostFiltering
{
    // What ASP.NET Core takes for all hosts.
    private static readonly string[] All = ["*", "[::]", "0.0.0.0"];

    /// <summary>The hosts that are allowed; empty when all are.</summary>
    public static IReadOnlyList<string> AllowedHosts(IServiceProvider services)
        => services.GetService<IOptionsMonitor<HostFilteringOptions>>()?.CurrentValue.AllowedHosts is { } hosts && !hosts.Any(All.Contains) ? [.. hosts] : [];

    /// <summary>The hosts that clients of this library send, and that are not among the allowed ones.</summary>
    public static IReadOnlyList<string> Refused(IReadOnlyList<string> allowed, IEnumerable<string> serviceNames)
        => allowed.Count == 0 ? [] : [.. serviceNames
            .Select(static name => ServiceAuthority.BaseAddress(Uri.UriSchemeHttp, name).Host)
            .Where(host => !HostString.MatchesAny(host, [.. allowed.Select(static a => new StringSegment(a))]))
            .Distinct(StringComparer.Ordinal)];
}
