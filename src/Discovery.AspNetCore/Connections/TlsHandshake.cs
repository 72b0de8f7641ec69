using System.ComponentModel;
using System.Net;
using System.Net.Security;
using System.Security.Authentication;

namespace Discovery.AspNetCore.Connections;

/// <summary>
/// Connects with TLS, one for each transport. <see cref="SocketsHttpHandler"/> would do it too, but expects the name in the request's <c>Host</c>
/// header, which an application may have from its own caller, and its failures cannot be told from those of a request that was sent.
/// </summary>
/// <param name="host">The name to expect, and to send as SNI; null for the host of the request's URI.</param>
/// <param name="options">The application's options; a target host among them wins.</param>
internal sealed class TlsHandshake(string? host, SslClientAuthenticationOptions options)
{
    public const string Service = "service";
    public const string Endpoint = "endpoint";

    /// <summary>SEC_E_APPLICATION_PROTOCOL_MISMATCH, as Windows has it.</summary>
    private const int ApplicationProtocolMismatch = unchecked((int)0x80090367);

    /// <summary>
    /// Whether HTTP/2 was offered once and not agreed on. From then on <see cref="SocketsHttpHandler"/> uses HTTP/1.1 wherever a request allows it, whatever
    /// a later handshake agrees on; and behind one address there may be servers of both kinds.
    /// </summary>
    private volatile bool _isHttp2Refused;

    /// <summary>Whether the name to expect is that of the request's URI.</summary>
    public bool GoesByUri => host is null && string.IsNullOrEmpty(options.TargetHost);

    /// <summary>The name to expect of an instance by the setting, or null for the one in the request's URI.</summary>
    public static string? HostOf(string setting, string instanceHost)
        => setting.Equals(Service, StringComparison.OrdinalIgnoreCase) ? null
            : setting.Equals(Endpoint, StringComparison.OrdinalIgnoreCase) ? instanceHost
            : setting;

    /// <summary>The name that whoever dials the instance's own host must be told to expect; null where it is that host, which is expected anyway.</summary>
    public static string? OtherHostOf(string setting, string instanceHost, string serviceHost)
    {
        var host = HostOf(setting, instanceHost) ?? serviceHost;
        return host == instanceHost ? null : host;
    }

    /// <exception cref="AuthenticationException">The certificate is not accepted, or it is no TLS; names what was expected.</exception>
    /// <exception cref="ProtocolRefusedException">The peer speaks none of the protocols that were offered.</exception>
    public async Task<Stream> HandshakeAsync(Stream stream, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var copy = OptionsFor(request);
        var tls = new SslStream(stream, leaveInnerStreamOpen: false);
        try
        {
            await tls.AuthenticateAsClientAsync(copy, cancellationToken).ConfigureAwait(false);
            if (copy.ApplicationProtocols!.Contains(SslApplicationProtocol.Http2) && tls.NegotiatedApplicationProtocol != SslApplicationProtocol.Http2)
            {
                _isHttp2Refused = true;
            }

            return tls;
        }
        catch (Exception e)
        {
            await tls.DisposeAsync().ConfigureAwait(false);
            if (e is OperationCanceledException)
            {
                throw;
            }

            var reason = e.GetBaseException();
            if (IsProtocolRefusal(reason))
            {
                throw new ProtocolRefusedException(copy.ApplicationProtocols!, reason);
            }

            // The platform says "see inner exception" and not more.
            throw new AuthenticationException(
                $"TLS failed; the certificate must be trusted and bear the name '{copy.TargetHost}' (Etcd:Discovery:TlsTargetHost): {e.Message}"
                + (reason == e ? "" : $" {reason.Message}"),
                e);
        }
    }

    /// <summary>Whether the peer has ended the handshake by the alert no_application_protocol, which .NET has no name for.</summary>
    private static bool IsProtocolRefusal(Exception reason)
        => reason is Win32Exception { NativeErrorCode: ApplicationProtocolMismatch } || reason.Message.Contains("no application protocol", StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// The protocols to offer: those that the request's version and policy allow. HTTP/1.1 alone is offered too, which the handler itself would not
    /// do: a server that speaks HTTP/2 alone then refuses the connection, and not the call.
    /// </summary>
    private List<SslApplicationProtocol> ProtocolsFor(HttpRequestMessage request)
    {
        var wantsHttp2 = request.Version >= HttpVersion.Version20;
        return wantsHttp2 && request.VersionPolicy != HttpVersionPolicy.RequestVersionOrLower ? [SslApplicationProtocol.Http2]
            : _isHttp2Refused ? [SslApplicationProtocol.Http11]
            : wantsHttp2 || request.VersionPolicy == HttpVersionPolicy.RequestVersionOrHigher
                ? [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11]
            : [SslApplicationProtocol.Http11];
    }

    /// <summary>A copy, for the application may give the same object to all instances, and each may need another name.</summary>
    private SslClientAuthenticationOptions OptionsFor(HttpRequestMessage request)
    {
        var copy = new SslClientAuthenticationOptions
        {
            TargetHost = string.IsNullOrEmpty(options.TargetHost) ? host ?? request.RequestUri!.IdnHost : options.TargetHost,
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
