using Discovery.Etcd;
using Xunit.Abstractions;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>An etcd that wants client certificates.</summary>
public sealed class TlsTests(TlsNode node, ITestOutputHelper output) : IClassFixture<TlsNode>
{
    [Fact]
    public async Task A_client_with_a_pem_certificate_is_let_in()
    {
        var (certificate, key) = node.Certificates.IssuePem("client", "pem");
        await using var client = node.Connect(t => (t.CertificateFile, t.KeyFile) = (certificate, key));

        await client.PutAsync("a", Bytes("1"));
    }

    [Fact]
    public async Task A_client_with_an_encrypted_key_or_a_pfx_is_let_in()
    {
        var (certificate, key) = node.Certificates.IssuePem("client", "encrypted", "secret-1");
        await using var pem = node.Connect(t => (t.CertificateFile, t.KeyFile, t.KeyPassword) = (certificate, key, "secret-1"));
        await using var pfx = node.Connect(t => (t.CertificateFile, t.KeyPassword) = (node.Certificates.IssuePfx("client", "pfx", "secret-2"), "secret-2"));

        await pem.PutAsync("a", Bytes("1"));
        await pfx.PutAsync("a", Bytes("2"));
    }

    [Fact]
    public void A_wrong_key_password_is_told_without_telling_it()
    {
        var (certificate, key) = node.Certificates.IssuePem("client", "wrong", "secret-1");

        var error = Assert.Throws<ArgumentException>(() => node.Connect(t => (t.CertificateFile, t.KeyFile, t.KeyPassword) = (certificate, key, "not-it")));

        Assert.Contains("the files of Etcd:Tls cannot be read", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("not-it", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_without_certificate_or_with_a_strange_one_is_not_let_in()
    {
        using var strangers = new TestCertificates("strangers");
        var (certificate, key) = strangers.IssuePem("client", "client");
        await using var none = node.Connect(_ => { });
        await using var strange = node.Connect(t => (t.CertificateFile, t.KeyFile) = (certificate, key));

        foreach (var client in (EtcdClient[])[none, strange])
        {
            var error = await Assert.ThrowsAsync<EtcdException>(() => client.GetAsync("a"));
            output.WriteLine(error.Message);
            Assert.Contains("Etcd:Tls:CertificateFile", error.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("disposed", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_server_of_another_authority_is_not_trusted()
    {
        using var strangers = new TestCertificates("strangers");
        var (certificate, key) = node.Certificates.IssuePem("client", "distrustful");
        await using var client = node.Connect(t => (t.CaFile, t.CertificateFile, t.KeyFile) = (strangers.CaFile, certificate, key));

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.GetAsync("a"));

        output.WriteLine(error.Message);
        Assert.Contains("TLS failed", error.Message, StringComparison.Ordinal);
        Assert.Contains("Etcd:Tls:CaFile", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_with_the_issuing_authority_alone_is_enough_as_it_is_for_etcdctl()
    {
        using var root = new TestCertificates("root");
        using var issuer = root.IssueAuthority("issuer");
        var (certificate, key) = issuer.IssuePem("etcd.test", "server");
        await using var etcd = await EtcdProcess.StartAsync(new EtcdProcessOptions
        {
            ClientScheme = "https", FastElections = true, ExtraArguments = ["--cert-file", certificate, "--key-file", key],
        });
        await using var client = Connect(etcd.Endpoint, o => o.Tls.CaFile = issuer.CaFile);
        await using var withRoot = Connect(etcd.Endpoint, o => (o.RequestTimeout, o.Tls.CaFile) = (TimeSpan.FromSeconds(4), root.CaFile));

        await client.PutAsync("a", Bytes("1"));

        // etcd does not send the issuer's certificate.
        var error = await Assert.ThrowsAsync<EtcdException>(() => withRoot.GetAsync("a"));
        output.WriteLine(error.Message);
        Assert.Contains("is of an authority that is not trusted", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_server_name_can_be_another_than_the_endpoints_host()
    {
        var (certificate, key) = node.Certificates.IssuePem("client", "named");
        await using var right = node.Connect(t => (t.CertificateFile, t.KeyFile, t.ServerName) = (certificate, key, "etcd.test"));
        await using var wrong = node.Connect(t => (t.CertificateFile, t.KeyFile, t.ServerName) = (certificate, key, "other.test"));

        Assert.Null(await right.GetAsync("absent"));
        await Assert.ThrowsAsync<EtcdException>(() => wrong.GetAsync("absent"));
    }

    [Fact]
    public async Task An_http_endpoint_where_https_is_spoken_is_described()
    {
        await using var client = Connect(node.Etcd.Endpoint.Replace("https", "http", StringComparison.Ordinal), o => o.RequestTimeout = TimeSpan.FromSeconds(3));

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.GetAsync("a"));

        output.WriteLine(error.Message);
        Assert.Contains("http and https", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Certificates_that_are_rotated_are_used_by_new_connections_without_a_restart_of_the_client()
    {
        using var oldAuthority = new TestCertificates("old");
        using var newAuthority = new TestCertificates("new");
        using var files = new TestCertificates("unused");
        var (serverCertificate, serverKey) = (files.PathOf("server.pem"), files.PathOf("server-key.pem"));
        Install(oldAuthority, files);
        await using var etcd = await EtcdProcess.StartAsync(TlsNode.Options(files.CaFile, serverCertificate, serverKey));
        await using var client = Connect(etcd.Endpoint, o =>
            o.Tls = new EtcdTlsOptions { CaFile = files.CaFile, CertificateFile = files.PathOf("client.pem"), KeyFile = files.PathOf("client-key.pem") });
        await using var watch = client.Watch("r", 0);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));
        await client.PutAsync("r", Bytes("old"));
        await Eventually.IsTrue(() => log.Events.Count == 1);

        // Half of the new files first: what was read before serves on until the rest is there.
        await File.WriteAllTextAsync(files.PathOf("client-key.pem"), "-----BEGIN");
        await etcd.KillAsync();
        Install(newAuthority, files);
        await etcd.RestartAsync();

        await client.PutAsync("r", Bytes("new"));
        await Eventually.IsTrue(() => log.Events.Count == 2);
    }

    private static void Install(TestCertificates authority, TestCertificates files)
    {
        File.Copy(authority.CaFile, files.CaFile, overwrite: true);
        foreach (var name in (string[])["server", "client"])
        {
            var (certificate, key) = authority.IssuePem("etcd.test", name);
            File.Copy(certificate, files.PathOf(name + ".pem"), overwrite: true);
            File.Copy(key, files.PathOf(name + "-key.pem"), overwrite: true);
        }
    }
}

/// <summary>An etcd with TLS and client certificates.</summary>
public sealed class TlsNode : IAsyncLifetime
{
    private EtcdProcess? _etcd;

    internal TestCertificates Certificates { get; } = new("authority");

    internal EtcdProcess Etcd => _etcd!;

    public async Task InitializeAsync()
    {
        var (certificate, key) = Certificates.IssuePem("etcd.test", "server");
        _etcd = await EtcdProcess.StartAsync(Options(Certificates.CaFile, certificate, key));
    }

    public async Task DisposeAsync()
    {
        await Etcd.DisposeAsync();
        Certificates.Dispose();
    }

    internal static EtcdProcessOptions Options(string ca, string certificate, string key) => new()
    {
        ClientScheme = "https",
        FastElections = true,
        ExtraArguments = ["--cert-file", certificate, "--key-file", key, "--client-cert-auth", "--trusted-ca-file", ca],
    };

    internal EtcdClient Connect(Action<EtcdTlsOptions> configure) => Clients.Connect(Etcd.Endpoint, o =>
    {
        o.RequestTimeout = TimeSpan.FromSeconds(4);
        o.Tls.CaFile = Certificates.CaFile;
        configure(o.Tls);
    });
}
