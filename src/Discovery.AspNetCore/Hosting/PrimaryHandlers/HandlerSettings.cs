using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Discovery.AspNetCore.Hosting.PrimaryHandlers;

/// <summary>What an application has set of a primary handler that calls will not go by.</summary>
internal static class HandlerSettings
{
    /// <summary>
    /// Without what every new handler has and clients of the factory do not (UseCookies, CookieContainer), or what Microsoft.Extensions.Http and gRPC set
    /// themselves (MeterFactory, EnableMultipleHttp2Connections, PooledConnectionLifetime).
    /// </summary>
    private static readonly (string Name, Func<SocketsHttpHandler, object?> Read)[] Readers =
    [
        (nameof(SocketsHttpHandler.SslOptions), static h => IsSet(h.SslOptions)),
        (nameof(SocketsHttpHandler.ConnectCallback), static h => h.ConnectCallback),
        (nameof(SocketsHttpHandler.PlaintextStreamFilter), static h => h.PlaintextStreamFilter),
        (nameof(SocketsHttpHandler.Credentials), static h => h.Credentials),
        (nameof(SocketsHttpHandler.AutomaticDecompression), static h => h.AutomaticDecompression),
        (nameof(SocketsHttpHandler.PreAuthenticate), static h => h.PreAuthenticate),
        (nameof(SocketsHttpHandler.Proxy), static h => h.Proxy),
        (nameof(SocketsHttpHandler.DefaultProxyCredentials), static h => h.DefaultProxyCredentials),
        (nameof(SocketsHttpHandler.UseProxy), static h => h.UseProxy),
        (nameof(SocketsHttpHandler.AllowAutoRedirect), static h => h.AllowAutoRedirect),
        (nameof(SocketsHttpHandler.MaxAutomaticRedirections), static h => h.MaxAutomaticRedirections),
        (nameof(SocketsHttpHandler.ConnectTimeout), static h => h.ConnectTimeout),
        (nameof(SocketsHttpHandler.Expect100ContinueTimeout), static h => h.Expect100ContinueTimeout),
        (nameof(SocketsHttpHandler.PooledConnectionIdleTimeout), static h => h.PooledConnectionIdleTimeout),
        (nameof(SocketsHttpHandler.MaxConnectionsPerServer), static h => h.MaxConnectionsPerServer),
        (nameof(SocketsHttpHandler.MaxResponseDrainSize), static h => h.MaxResponseDrainSize),
        (nameof(SocketsHttpHandler.ResponseDrainTimeout), static h => h.ResponseDrainTimeout),
        (nameof(SocketsHttpHandler.MaxResponseHeadersLength), static h => h.MaxResponseHeadersLength),
        (nameof(SocketsHttpHandler.InitialHttp2StreamWindowSize), static h => h.InitialHttp2StreamWindowSize),
        (nameof(SocketsHttpHandler.KeepAlivePingDelay), static h => h.KeepAlivePingDelay),
        (nameof(SocketsHttpHandler.KeepAlivePingTimeout), static h => h.KeepAlivePingTimeout),
        (nameof(SocketsHttpHandler.KeepAlivePingPolicy), static h => h.KeepAlivePingPolicy),
        (nameof(SocketsHttpHandler.RequestHeaderEncodingSelector), static h => h.RequestHeaderEncodingSelector),
        (nameof(SocketsHttpHandler.ResponseHeaderEncodingSelector), static h => h.ResponseHeaderEncodingSelector),
        (nameof(SocketsHttpHandler.ActivityHeadersPropagator), static h => h.ActivityHeadersPropagator),
    ];

    /// <summary>As many of the first readers as decide on who is called, by what identity, and whether the answer can be read.</summary>
    private const int Essential = 5;

    /// <summary>A handler in which nothing is set.</summary>
    public static SocketsHttpHandler CreateDefault() => new();

    /// <summary>The properties that are set.</summary>
    public static List<string> FindAll(SocketsHttpHandler handler) => Find(handler, Readers);

    /// <summary>
    /// What is lost where the defaults of all clients set this handler and a client does not use it: certificates, credentials and the like, or all
    /// that a class of the application does. Pools, time limits and proxies are no loss.
    /// </summary>
    public static List<string> FindEssential(HttpMessageHandler handler) => handler switch
    {
        SocketsHttpHandler sockets => Find(sockets, Readers.AsSpan(0, Essential)),
        HttpClientHandler own when own.GetType() == typeof(HttpClientHandler) => Find(own),
        _ => [handler.GetType().Name],
    };

    private static List<string> Find(SocketsHttpHandler handler, ReadOnlySpan<(string Name, Func<SocketsHttpHandler, object?> Read)> readers)
    {
        using var unset = CreateDefault();
        List<string> found = [];
        foreach (var (name, read) in readers)
        {
            if (!Equals(read(handler), read(unset)))
            {
                found.Add(name);
            }
        }

        return found;
    }

    private static List<string> Find(HttpClientHandler handler)
    {
        List<string> found = [];
        if (handler.ClientCertificateOptions != ClientCertificateOption.Manual || handler.ClientCertificates.Count > 0)
        {
            found.Add(nameof(HttpClientHandler.ClientCertificates));
        }

#pragma warning disable MA0039 // It is looked at, and none is written.
        if (handler.ServerCertificateCustomValidationCallback is not null)
#pragma warning restore MA0039
        {
            found.Add("ServerCertificateCustomValidationCallback");
        }

        if (handler.SslProtocols != SslProtocols.None)
        {
            found.Add(nameof(HttpClientHandler.SslProtocols));
        }

        if (handler.CheckCertificateRevocationList)
        {
            found.Add(nameof(HttpClientHandler.CheckCertificateRevocationList));
        }

        if (handler.Credentials is not null)
        {
            found.Add(nameof(HttpClientHandler.Credentials));
        }

        if (handler.AutomaticDecompression != DecompressionMethods.None)
        {
            found.Add(nameof(HttpClientHandler.AutomaticDecompression));
        }

        return found;
    }

    private static bool IsSet(SslClientAuthenticationOptions options)
        => options is not
        {
            ClientCertificates: null or { Count: 0 },
            ClientCertificateContext: null,
            LocalCertificateSelectionCallback: null,
            RemoteCertificateValidationCallback: null,
            CertificateChainPolicy: null,
            CipherSuitesPolicy: null,
            EnabledSslProtocols: SslProtocols.None,
            CertificateRevocationCheckMode: X509RevocationMode.NoCheck,
            TargetHost: null or "",
            ApplicationProtocols: null or { Count: 0 },
        };
}
