using Discovery.Etcd.Tls;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.Etcd.Tests.Tls;

public sealed class TlsFilesTests : IDisposable
{
    private readonly TestCertificates _one = new("one");
    private readonly TestCertificates _two = new("two");

    public void Dispose()
    {
        _one.Dispose();
        _two.Dispose();
    }

    [Fact]
    public async Task What_did_not_change_is_decoded_once_and_what_changed_is_used_at_the_next_connection()
    {
        var (certificate, key) = _one.IssuePem("client", "client");
        var files = new TlsFiles(
            new EtcdTlsOptions { CaFile = _one.CaFile, CertificateFile = certificate, KeyFile = key }, NullLogger.Instance);

        var first = await files.GetOptionsAsync("etcd", CancellationToken.None);
        var second = await files.GetOptionsAsync("etcd", CancellationToken.None);
        File.Copy(_two.CaFile, _one.CaFile, overwrite: true);
        var third = await files.GetOptionsAsync("etcd", CancellationToken.None);

        Assert.Same(first.ClientCertificateContext, second.ClientCertificateContext);
        Assert.Same(first.CertificateChainPolicy!.CustomTrustStore[0], second.CertificateChainPolicy!.CustomTrustStore[0]);
        Assert.Equal("CN=one", second.CertificateChainPolicy.CustomTrustStore[0].Subject);
        Assert.Equal("CN=two", third.CertificateChainPolicy!.CustomTrustStore[0].Subject);
    }

    [Fact]
    public async Task Files_that_are_half_written_are_not_used_and_said_so()
    {
        using var log = new LogRecorder();
        using var loggers = LoggerFactory.Create(l => l.AddProvider(log));
        var files = new TlsFiles(new EtcdTlsOptions { CaFile = _one.CaFile }, loggers.CreateLogger("tls"));
        await files.GetOptionsAsync("etcd", CancellationToken.None);
        await File.WriteAllTextAsync(_one.CaFile, "");

        var options = await files.GetOptionsAsync("etcd", CancellationToken.None);

        Assert.Equal("CN=one", options.CertificateChainPolicy!.CustomTrustStore[0].Subject);
        Assert.Single(log.At(LogLevel.Warning));
    }
}
