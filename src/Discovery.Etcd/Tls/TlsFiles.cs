using System.Net.Security;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Tls;

/// <summary>
/// The TLS settings of new connections. The files are looked at for each of them: connections are rare, and so a renewed certificate is
/// used without any watching of files, which links and mounted secrets defeat. What they hold is decoded once.
/// </summary>
internal sealed partial class TlsFiles(EtcdTlsOptions options, ILogger logger, string section = EtcdClientOptions.DefaultSection)
{
    private readonly Lock _gate = new();
    private byte[]? _hash;
    private SslStreamCertificateContext? _certificate;
    private ListedAuthorities? _authorities;

    /// <summary>Why the files cannot be read, or <see langword="null"/>.</summary>
    public static string? FindProblem(EtcdTlsOptions options, string section)
    {
        try
        {
            _ = CertificateLoader.LoadAuthorities(options, section);
            _ = CertificateLoader.LoadCertificate(options, section);
            return null;
        }
        catch (Exception e) when (IsOfTheFiles(e))
        {
            return Describe(e, section);
        }
    }

    /// <summary>What a handshake with an endpoint needs.</summary>
    /// <param name="host">The endpoint's host.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="TlsFilesException">The files cannot be read, and never could.</exception>
    public async Task<SslClientAuthenticationOptions> GetOptionsAsync(string host, CancellationToken cancellationToken)
    {
        var hash = await TryHashAsync(cancellationToken).ConfigureAwait(false);
        lock (_gate)
        {
            UpdateLockHeld(hash);
            return new SslClientAuthenticationOptions
            {
                TargetHost = string.IsNullOrEmpty(options.ServerName) ? host.Trim('[', ']') : options.ServerName,
                ApplicationProtocols = [SslApplicationProtocol.Http2],
                ClientCertificateContext = _certificate,
                CertificateChainPolicy = _authorities?.CreatePolicy(),
                RemoteCertificateValidationCallback = _authorities?.Validation,
            };
        }
    }

    private void UpdateLockHeld(byte[]? hash)
    {
        if (hash is not null && _hash is not null && hash.AsSpan().SequenceEqual(_hash))
        {
            return;
        }

        try
        {
            // Those before are not disposed: a handshake may be using them.
            var authorities = CertificateLoader.LoadAuthorities(options, section) is { } listed ? new ListedAuthorities(listed) : null;
            var certificate = CertificateLoader.LoadCertificate(options, section);
            (_authorities, _certificate, _hash) = (authorities, certificate, hash ?? []);
        }
        catch (Exception e) when (IsOfTheFiles(e))
        {
            // Files that are being replaced are half there for a moment; what was read before still serves.
            if (_hash is null)
            {
                throw new TlsFilesException(Describe(e, section), e);
            }

            Log.KeptOldFiles(logger, section, e);
        }
    }

    // Null where a file cannot be read: why is said by what decodes it.
    private async Task<byte[]?> TryHashAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            foreach (var file in (string?[])[options.CaFile, options.CertificateFile, options.KeyFile])
            {
                if (!string.IsNullOrEmpty(file))
                {
                    hash.AppendData(await File.ReadAllBytesAsync(file, cancellationToken).ConfigureAwait(false));
                }
            }

            return hash.GetHashAndReset();
        }
        catch (Exception e) when (IsOfTheFiles(e))
        {
            return null;
        }
    }

    private static string Describe(Exception e, string section) => $"the files of {section}:Tls cannot be read: {e.Message}";

    private static bool IsOfTheFiles(Exception e) => e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException;

    private static partial class Log
    {
        [LoggerMessage(1021, LogLevel.Warning, "The files of {Section}:Tls cannot be read now; what was read before is used.")]
        public static partial void KeptOldFiles(ILogger logger, string section, Exception exception);
    }
}
