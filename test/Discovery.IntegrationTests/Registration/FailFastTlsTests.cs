using Discovery.IntegrationTests.Etcd;
using Discovery.TestKit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace Discovery.IntegrationTests.Registration;

/// <summary>With FailFast a start does not wait for certificates to become right by themselves.</summary>
public sealed class FailFastTlsTests(TlsNode node) : IClassFixture<TlsNode>, IDisposable
{
    private readonly TestCertificates _strangers = new("strangers");

    public void Dispose() => _strangers.Dispose();

    [Fact]
    public Task A_server_of_another_authority_fails_the_start_at_once()
    {
        var (certificate, key) = node.Certificates.IssuePem("client", "fail-fast");
        return FailsAtOnceAsync(_strangers.CaFile, certificate, key, "TLS failed");
    }

    [Fact]
    public Task A_certificate_that_etcd_wants_and_does_not_get_fails_the_start_at_once()
        => FailsAtOnceAsync(node.Certificates.CaFile, "", "", "Etcd:Tls:CertificateFile");

    [Fact]
    public async Task It_does_so_also_where_the_first_connections_broke_off()
    {
        await using var proxy = TcpProxy.Start(new Uri(node.Etcd.Endpoint).Port);
        proxy.Refuses = true;
        await using var app = TestApp.Build(
            $"https://127.0.0.1:{proxy.Port}", "tls", $"FailFast=true;/Etcd:RequestTimeout=00:10:00;/Etcd:Tls:CaFile={node.Certificates.CaFile}");
        var start = app.StartAsync();
        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Warning, "etcd is not available for keeping the keys"));

        proxy.Refuses = false;

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => start.WaitAsync(TimeSpan.FromMinutes(1)));
        Assert.Contains("Etcd:Tls:CertificateFile", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task So_does_a_required_configuration()
    {
        await using var proxy = TcpProxy.Start(new Uri(node.Etcd.Endpoint).Port);
        proxy.Refuses = true;
        using var configuration = new ConfigurationManager();
        configuration["Etcd:Endpoints"] = $"https://127.0.0.1:{proxy.Port}";
        configuration["Etcd:RequestTimeout"] = "00:10:00";
        configuration["Etcd:Tls:CaFile"] = node.Certificates.CaFile;
        var load = Task.Run(() => configuration.AddEtcd("app/", static o => o.ReadyTimeout = TimeSpan.FromMinutes(10)));

        // Attempts with pauses between them, of more than the time after which the first cause is told.
        await Eventually.IsTrue(() => proxy.Accepted > 4);

        proxy.Refuses = false;

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => load.WaitAsync(TimeSpan.FromMinutes(1)));
        Assert.Contains("Etcd:Tls:CertificateFile", error.Message, StringComparison.Ordinal);
    }

    private async Task FailsAtOnceAsync(string ca, string certificate, string key, string cause)
    {
        await using var app = TestApp.Build(
            node.Etcd.Endpoint,
            "tls",
            $"FailFast=true;/Etcd:RequestTimeout=00:10:00;/Etcd:Tls:CaFile={ca};/Etcd:Tls:CertificateFile={certificate};/Etcd:Tls:KeyFile={key}");

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => app.StartAsync().WaitAsync(TimeSpan.FromMinutes(1)));

        Assert.Contains(cause, error.Message, StringComparison.Ordinal);
        Assert.Contains("Etcd:Registration:FailFast", error.Message, StringComparison.Ordinal);
    }
}
