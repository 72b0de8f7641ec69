using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Discovery.Etcd.Tls;

/// <summary>Reads certificates from the configured files.</summary>
internal static class CertificateLoader
{
    /// <summary>The authorities to trust, or <see langword="null"/> for the system's.</summary>
    public static X509Certificate2Collection? LoadAuthorities(EtcdTlsOptions options, string section)
    {
        if (string.IsNullOrEmpty(options.CaFile))
        {
            return null;
        }

        var authorities = new X509Certificate2Collection();
        authorities.ImportFromPemFile(options.CaFile);
        return authorities.Count > 0
            ? authorities
            : throw new CryptographicException($"{section}:Tls:CaFile '{options.CaFile}' holds no PEM certificate");
    }

    /// <summary>The client certificate with its intermediates, or <see langword="null"/>.</summary>
    public static SslStreamCertificateContext? LoadCertificate(EtcdTlsOptions options, string section)
    {
        if (string.IsNullOrEmpty(options.CertificateFile))
        {
            return null;
        }

        var all = new X509Certificate2Collection();
        var leaf = IsPem(options.CertificateFile) ? LoadPem(options, section, all) : LoadPfx(options, section, all);
        return SslStreamCertificateContext.Create(leaf, all, offline: true);
    }

    private static bool IsPem(string path) => File.ReadAllText(path).Contains("-----BEGIN", StringComparison.Ordinal);

    private static X509Certificate2 LoadPem(EtcdTlsOptions options, string section, X509Certificate2Collection all)
    {
        var keyFile = string.IsNullOrEmpty(options.KeyFile) ? options.CertificateFile! : options.KeyFile;
        all.ImportFromPemFile(options.CertificateFile!);
        X509Certificate2 leaf;
        try
        {
            leaf = string.IsNullOrEmpty(options.KeyPassword)
                ? X509Certificate2.CreateFromPemFile(options.CertificateFile!, keyFile)
                : X509Certificate2.CreateFromEncryptedPemFile(options.CertificateFile!, options.KeyPassword, keyFile);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new CryptographicException($"{DescribeKey(options, section)} {e.Message}", e);
        }

        if (!OperatingSystem.IsWindows())
        {
            return leaf;
        }

        // Schannel cannot use a key that lives in memory only.
        using (leaf)
        {
            return X509CertificateLoader.LoadPkcs12(leaf.Export(X509ContentType.Pkcs12), password: null);
        }
    }

    private static string DescribeKey(EtcdTlsOptions options, string section)
    {
        var password = string.IsNullOrEmpty(options.KeyPassword) ? $". An encrypted key needs {section}:Tls:KeyPassword" : $", and {section}:Tls:KeyPassword its password";
        return string.IsNullOrEmpty(options.KeyFile)
            ? $"{section}:Tls:CertificateFile '{options.CertificateFile}' holds no key that fits its certificate, and {section}:Tls:KeyFile is not set: set it to "
                + $"the key's PEM file, e.g. /etc/etcd/client-key.pem{password}."
            : $"{section}:Tls:KeyFile '{options.KeyFile}' does not fit {section}:Tls:CertificateFile '{options.CertificateFile}': it must hold the certificate's "
                + $"private key as PEM, e.g. /etc/etcd/client-key.pem{password}.";
    }

    private static X509Certificate2 LoadPfx(EtcdTlsOptions options, string section, X509Certificate2Collection all)
    {
        all.AddRange(X509CertificateLoader.LoadPkcs12CollectionFromFile(options.CertificateFile!, options.KeyPassword));
        return all.FirstOrDefault(c => c.HasPrivateKey)
            ?? throw new CryptographicException($"{section}:Tls:CertificateFile '{options.CertificateFile}' holds no private key");
    }
}
