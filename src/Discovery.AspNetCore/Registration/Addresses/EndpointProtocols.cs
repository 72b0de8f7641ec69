using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>What the server's endpoints speak: <c>h1</c>, <c>h2</c>, or <c>h1,h2</c>, as records say it.</summary>
/// <param name="configuration">Says what is set for Kestrel.</param>
/// <param name="bound">What Kestrel has bound; null when the server is another one, whose endpoints may speak anything.</param>
internal sealed class EndpointProtocols(IConfiguration configuration, IReadOnlyList<ListenOptions>? bound)
{
    public const string Http1 = "h1";
    public const string Http2 = "h2";

    /// <summary>Whether an endpoint speaks HTTP/2, or may, for it is not known what it speaks.</summary>
    public static bool HasHttp2(string? protocols) => protocols?.Contains(Http2, StringComparison.Ordinal) != false;

    /// <summary>What any of several endpoints speaks; <see langword="null"/> when it is not known of one of them.</summary>
    public static string? Unite(IEnumerable<string?> protocols)
    {
        var all = protocols.Distinct().ToList();
        return all.Contains(null) ? null : string.Join(',', all.SelectMany(static p => p!.Split(',')).Distinct().Order(StringComparer.Ordinal));
    }

    /// <summary>What an endpoint speaks; empty for HTTP/3 alone, <see langword="null"/> when that is not known.</summary>
    /// <param name="address">The address that the server told.</param>
    /// <param name="name">The endpoint's name.</param>
    public string? Of(BindingAddress address, string name)
    {
        if (bound is null)
        {
            return null;
        }

        var protocols = KestrelEndpoints.Find(bound, address)?.Protocols
            ?? Read($"Kestrel:Endpoints:{name}:Protocols") ?? Read("Kestrel:EndpointDefaults:Protocols") ?? HttpProtocols.Http1AndHttp2;

        // Over TLS both sides agree on one; without it Kestrel drops HTTP/2 wherever HTTP/1.1 is enabled.
        var isTls = address.Scheme.Equals("https", StringComparison.OrdinalIgnoreCase);
        var hasHttp1 = protocols.HasFlag(HttpProtocols.Http1);
        var hasHttp2 = protocols.HasFlag(HttpProtocols.Http2) && (isTls || !hasHttp1);
        return (hasHttp1, hasHttp2) switch
        {
            (true, true) => $"{Http1},{Http2}",
            (true, false) => Http1,
            (false, true) => Http2,
            _ => "",
        };
    }

    private HttpProtocols? Read(string setting)
        => Enum.TryParse<HttpProtocols>(configuration[setting], ignoreCase: true, out var protocols) ? protocols : null;
}
