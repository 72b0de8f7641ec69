using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Discovery.TestKit;

/// <summary>A certificate authority of a test's own, and the certificates it signs, as files.</summary>
public sealed class TestCertificates : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("certificates-");
    private readonly X509Certificate2 _authority;

    /// <summary>Creates an authority that signs itself.</summary>
    public TestCertificates(string name)
        : this(name, issuer: null, until: null)
    {
    }

    private TestCertificates(string name, X509Certificate2? issuer, DateTimeOffset? until)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        _authority = Sign(request, key, issuer, until ?? DateTimeOffset.UtcNow.AddDays(issuer is null ? 30 : 20));
        File.WriteAllText(CaFile, _authority.ExportCertificatePem());
    }

    /// <summary>The authority's certificate.</summary>
    public X509Certificate2 Authority => _authority;

    /// <summary>The file of the authority's certificate.</summary>
    public string CaFile => PathOf("ca.pem");

    /// <summary>The path of a file in the certificates' directory.</summary>
    public string PathOf(string file) => Path.Combine(_directory.FullName, file);

    /// <summary>Signs the certificate of another authority.</summary>
    /// <param name="name">The authority's name.</param>
    /// <param name="until">When it expires; in twenty days unless it is set.</param>
    public TestCertificates IssueAuthority(string name, DateTimeOffset? until = null) => new(name, _authority, until);

    /// <summary>Signs a certificate for a host and for loopback addresses, usable by servers and clients.</summary>
    /// <param name="name">The host.</param>
    /// <param name="withLoopback">Whether loopback addresses are among the names.</param>
    /// <param name="until">When it expires; in ten days unless it is set.</param>
    /// <returns>The certificate with its key.</returns>
    public X509Certificate2 Issue(string name, bool withLoopback = true, DateTimeOffset? until = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        if (withLoopback)
        {
            names.AddIpAddress(IPAddress.Loopback);
        }

        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], false));
        return Sign(request, key, _authority, until ?? DateTimeOffset.UtcNow.AddDays(10));
    }

    /// <summary>Signs a certificate and writes it as PEM.</summary>
    /// <param name="name">The host.</param>
    /// <param name="file">The files' name, without ending.</param>
    /// <param name="password">The password of the key, if it is to be encrypted.</param>
    /// <param name="withLoopback">Whether loopback addresses are among the names.</param>
    public (string Certificate, string Key) IssuePem(string name, string file, string? password = null, bool withLoopback = true)
    {
        using var certificate = Issue(name, withLoopback);
        using var key = certificate.GetECDsaPrivateKey()!;
        var parameters = new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000);
        File.WriteAllText(PathOf(file + ".pem"), certificate.ExportCertificatePem());
        File.WriteAllText(
            PathOf(file + "-key.pem"), password is null ? key.ExportPkcs8PrivateKeyPem() : key.ExportEncryptedPkcs8PrivateKeyPem(password, parameters));
        return (PathOf(file + ".pem"), PathOf(file + "-key.pem"));
    }

    /// <summary>Signs a certificate and writes it as PFX.</summary>
    public string IssuePfx(string name, string file, string password)
    {
        using var certificate = Issue(name);
        File.WriteAllBytes(PathOf(file + ".pfx"), certificate.Export(X509ContentType.Pkcs12, password));
        return PathOf(file + ".pfx");
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _authority.Dispose();
        _directory.Delete(recursive: true);
    }

    private static X509Certificate2 Sign(CertificateRequest request, ECDsa key, X509Certificate2? issuer, DateTimeOffset until)
    {
        var from = DateTimeOffset.UtcNow.AddDays(-1);
        if (issuer is null)
        {
            return request.CreateSelfSigned(from, until);
        }

        using var certificate = request.Create(issuer, from, until, RandomNumberGenerator.GetBytes(12));
        return certificate.CopyWithPrivateKey(key);
    }
}
