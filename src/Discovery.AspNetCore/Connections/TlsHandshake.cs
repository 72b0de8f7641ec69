using System.Net;
using System.Net.Security;

namespace Discovery.AspNetCore.Connections;

/// <summary>
/// Connects with TLS to an instance whose certificate bears another name than that in the request's URI. <see cref="SocketsHttpHandler"/>
/// overwrites <see cref="SslClientAuthenticationOptions.TargetHost"/> by the URI's host, but takes a stream that has TLS already.
/// </summary>
/// <param name="host">The name to expect, and to send as SNI.</param>
/// <param name="options">The application's options; a target host among them wins.</param>
internal sealed class TlsHandshake(string host, SslClientAuthenticationOptions options)
{
    public const string Service = "service";
    public const string Endpoint = "endpoint";

    /// <summary>The name to expect of an instance by the setting, or null for the one in the request's URI.</summary>
    public static string? HostOf(string setting, string instanceHost)
        => setting.Equals(Service, StringComparison.OrdinalIgnoreCase) ? null
            : setting.Equals(Endpoint, StringComparison.OrdinalIgnoreCase) ? instanceHost
            : setting;

    public async ValueTask<Stream> HandshakeAsync(Stream stream, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var tls = new SslStream(stream, leaveInnerStreamOpen: false);
        try
        {
            await tls.AuthenticateAsClientAsync(OptionsFor(request), cancellationToken).ConfigureAwait(false);
            return tls;
        }
        catch
        {
            await tls.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The protocols to offer, as the handler itself would: those that the request's version and policy allow.</summary>
    private static List<SslApplicationProtocol>? ProtocolsFor(HttpRequestMessage request)
    {
        var wantsHttp2 = request.Version >= HttpVersion.Version20;
        return wantsHttp2 && request.VersionPolicy != HttpVersionPolicy.RequestVersionOrLower ? [SslApplicationProtocol.Http2]
            : wantsHttp2 || request.VersionPolicy == HttpVersionPolicy.RequestVersionOrHigher
                ? [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11]
            : null;
    }

    /// <summary>A copy, for the application may give the same object to all instances, and each may need another name.</summary>
    private SslClientAuthenticationOptions OptionsFor(HttpRequestMessage request)
    {
        var copy = new SslClientAuthenticationOptions
        {
            TargetHost = string.IsNullOrEmpty(options.TargetHost) ? host : options.TargetHost,
            ApplicationProtocols = ProtocolsFor(request),
            AllowRenegotiation = options.AllowRenegotiation,
            AllowTlsResume = options.AllowTlsResume,
            CertificateChainPolicy = options.CertificateChainPolicy,
            CertificateRevocationCheckMode = options.CertificateRevocationCheckMode,
            CipherSuitesPolicy = options.CipherSuitesPolicy,
            ClientCertificateContext = options.ClientCertificateContext,
            ClientCertificates = options.ClientCertificates,
            EnabledSslProtocols = options.EnabledSslProtocols,
            EncryptionPolicy = options.EncryptionPolicy,
            LocalCertificateSelectionCallback = options.LocalCertificateSelectionCallback,
            RemoteCertificateValidationCallback = options.RemoteCertificateValidationCallback,
        };
        if (OperatingSystem.IsLinux() || OperatingSystem.IsWindows())
        {
            copy.AllowRsaPkcs1Padding = options.AllowRsaPkcs1Padding;
            copy.AllowRsaPssPadding = options.AllowRsaPssPadding;
        }

        return copy;
    }
}
