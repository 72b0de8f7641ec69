using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Tls;

/// <summary>
/// The TLS settings of new connections. The files are read for each of them: connections are rare, and so a renewed certificate is
/// used without any watching of files, which links and mounted secrets defeat.
/// </summary>
internal sealed partial class TlsFiles(EtcdTlsOptions options, ILogger logger)
{
    private readonly Lock _gate = new();
    private SslStreamCertificateContext? _certificate;
    private X509Certificate2Collection? _authorities;
    private bool _isRead;

    /// <summary>What a handshake with an endpoint needs.</summary>
    /// <param name="host">The endpoint's host.</param>
    public SslClientAuthenticationOptions CreateOptions(string host)
    {
        lock (_gate)
        {
            Read();
            return new SslClientAuthenticationOptions
            {
                TargetHost = string.IsNullOrEmpty(options.ServerName) ? host.Trim('[', ']') : options.ServerName,
                ApplicationProtocols = [SslApplicationProtocol.Http2],
                ClientCertificateContext = _certificate,
                CertificateChainPolicy = CreatePolicy(),
            };
        }
    }

    private X509ChainPolicy? CreatePolicy()
    {
        if (_authorities is null)
        {
            return null;
        }

        // Private authorities rarely publish revocation lists.
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.AddRange(_authorities);
        return policy;
    }

    private void Read()
    {
        try
        {
            var authorities = CertificateLoader.LoadAuthorities(options);
            var certificate = CertificateLoader.LoadCertificate(options);
            (_authorities, _certificate, _isRead) = (authorities, certificate, true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            // Files that are being replaced are half there for a moment; what was read before still serves.
            if (!_isRead)
            {
                throw new TlsFilesException($"the files of Etcd:Tls cannot be read: {e.Message}", e);
            }

            Log.KeptOldFiles(logger, e);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The files of Etcd:Tls cannot be read now; what was read before is used.")]
        public static partial void KeptOldFiles(ILogger logger, Exception exception);
    }
}
