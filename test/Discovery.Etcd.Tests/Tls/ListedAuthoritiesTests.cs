using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Discovery.Etcd.Tls;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.Etcd.Tests.Tls;

/// <summary>Whom the certificates of Etcd:Tls:CaFile vouch for, by real handshakes.</summary>
public sealed class ListedAuthoritiesTests : IDisposable
{
    private const string Host = "etcd.test";

    private readonly TestCertificates _root = new("root");
    private readonly TestCertificates _issuer;

    public ListedAuthoritiesTests() => _issuer = _root.IssueAuthority("issuer");

    public void Dispose()
    {
        _root.Dispose();
        _issuer.Dispose();
    }

    [Theory]
    [InlineData("root", "issuer")]
    [InlineData("issuer", "")]
    [InlineData("issuer", "issuer")]
    [InlineData("issuer", "issuer,root")]
    [InlineData("issuer,root", "")]
    [InlineData("leaf", "")]
    [InlineData("leaf", "issuer,root")]
    public async Task A_chain_ends_at_any_certificate_of_the_file(string file, string sent)
    {
        using var leaf = _issuer.Issue(Host);

        await ConnectAsync(Certificates(file, leaf), leaf, Certificates(sent, leaf));
    }

    [Fact]
    public async Task A_file_of_roots_leaves_the_decision_to_the_framework()
    {
        var files = new TlsFiles(new EtcdTlsOptions { CaFile = _root.CaFile }, NullLogger.Instance);

        Assert.Null((await files.GetOptionsAsync(Host, CancellationToken.None)).RemoteCertificateValidationCallback);
    }

    [Theory]
    [InlineData("issuer", false)]
    [InlineData("issuer", true)]
    [InlineData("issuer,root", false)]
    [InlineData("issuer,root", true)]
    public async Task Who_bears_the_name_of_an_authority_is_not_one(string file, bool isSent)
    {
        using var strangersRoot = new TestCertificates("root");
        using var stranger = strangersRoot.IssueAuthority("issuer");
        using var leaf = stranger.Issue(Host);
        X509Certificate2[] sent = isSent ? [stranger.Authority, strangersRoot.Authority] : [];

        await RefusedAsync(Certificates(file, leaf), leaf, sent);
        await RefusedAsync(Certificates(file, leaf), leaf, [.. sent, _issuer.Authority, _root.Authority]);
    }

    [Fact]
    public async Task A_strangers_certificate_is_refused_in_the_frameworks_words()
    {
        using var stranger = new TestCertificates("stranger");
        using var between = stranger.IssueAuthority("between");
        using var alone = between.Issue(Host);
        using var signedByRoot = stranger.Issue(Host);

        Assert.EndsWith(": PartialChain", await RefusedAsync([_issuer.Authority], alone, []), StringComparison.Ordinal);
        await RefusedAsync([_issuer.Authority], alone, [between.Authority, stranger.Authority]);
        await RefusedAsync([_issuer.Authority], alone, [_issuer.Authority]);
        await RefusedAsync([_issuer.Authority], signedByRoot, [stranger.Authority]);
    }

    [Fact]
    public async Task Nothing_else_is_forgiven()
    {
        using var otherName = _issuer.Issue("other.test", withLoopback: false);
        using var expired = _issuer.Issue(Host, until: DateTimeOffset.UtcNow.AddMinutes(-1));
        using var expiredIssuer = _root.IssueAuthority("issuer", until: DateTimeOffset.UtcNow.AddMinutes(-1));
        using var ofExpired = expiredIssuer.Issue(Host, until: DateTimeOffset.UtcNow.AddMinutes(-2));
        using var forClients = Issue(_issuer.Authority, "1.3.6.1.5.5.7.3.2");
        using var noAuthority = _issuer.Issue("no.authority");
        using var ofNoAuthority = Issue(noAuthority, "1.3.6.1.5.5.7.3.1");

        Assert.EndsWith(": RemoteCertificateNameMismatch", await RefusedAsync([_issuer.Authority], otherName, []), StringComparison.Ordinal);
        Assert.Contains("NotTimeValid", await RefusedAsync([_issuer.Authority], expired, []), StringComparison.Ordinal);
        Assert.Contains("NotTimeValid", await RefusedAsync([expiredIssuer.Authority], ofExpired, []), StringComparison.Ordinal);
        Assert.Contains("NotValidForUsage", await RefusedAsync([_issuer.Authority], forClients, []), StringComparison.Ordinal);
        await RefusedAsync([noAuthority], ofNoAuthority, []);
        await RefusedAsync([noAuthority, _issuer.Authority], ofNoAuthority, [noAuthority]);
    }

    private static X509Certificate2 Issue(X509Certificate2 issuer, string usage)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={Host}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(Host);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], false));
        var generator = X509SignatureGenerator.CreateForECDsa(issuer.GetECDsaPrivateKey()!);
        using var certificate = request.Create(
            issuer.SubjectName, generator, DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1), RandomNumberGenerator.GetBytes(12));
        return certificate.CopyWithPrivateKey(key);
    }

    private static async Task<string> RefusedAsync(X509Certificate2[] file, X509Certificate2 leaf, X509Certificate2[] sent)
        => (await Assert.ThrowsAsync<AuthenticationException>(() => ConnectAsync(file, leaf, sent))).Message;

    private static async Task ConnectAsync(X509Certificate2[] file, X509Certificate2 leaf, X509Certificate2[] sent)
    {
        var path = Path.GetTempFileName();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        try
        {
            await File.WriteAllTextAsync(path, string.Join('\n', file.Select(static c => c.ExportCertificatePem())));
            var options = await new TlsFiles(new EtcdTlsOptions { CaFile = path }, NullLogger.Instance).GetOptionsAsync(Host, CancellationToken.None);
            var serving = ServeAsync(listener, leaf, sent);
            using var connection = new TcpClient();
            await connection.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
            await using (var tls = new SslStream(connection.GetStream()))
            {
                await tls.AuthenticateAsClientAsync(options);
            }

            await serving;
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static async Task ServeAsync(TcpListener listener, X509Certificate2 leaf, X509Certificate2[] sent)
    {
        using var connection = await listener.AcceptTcpClientAsync();
        await using var tls = new SslStream(connection.GetStream());
        await Record.ExceptionAsync(() => tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
        {
            ServerCertificateContext = SslStreamCertificateContext.Create(leaf, [.. sent], offline: true),
            ApplicationProtocols = [SslApplicationProtocol.Http2],
        }));
    }

    private X509Certificate2[] Certificates(string names, X509Certificate2 leaf) =>
        [.. names.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(n => n == "leaf" ? leaf : n == "root" ? _root.Authority : _issuer.Authority)];
}
