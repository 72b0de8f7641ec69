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

    [Fact]
    public async Task A_certificate_without_its_key_names_the_setting_that_is_missing()
    {
        var (certificate, _) = _one.IssuePem("client", "client");

        var e = await FailAsync(new EtcdTlsOptions { CertificateFile = certificate });

        Assert.Contains($"Etcd:Tls:CertificateFile '{certificate}' holds no key", e.Message, StringComparison.Ordinal);
        Assert.Contains("Etcd:Tls:KeyFile is not set: set it to the key's PEM file, e.g. /etc/etcd/client-key.pem.", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_of_another_certificate_names_both_settings_and_their_files()
    {
        var (certificate, _) = _one.IssuePem("client", "client");
        var (_, key) = _one.IssuePem("client", "other");

        var e = await FailAsync(new EtcdTlsOptions { CertificateFile = certificate, KeyFile = key });

        Assert.Contains($"Etcd:Tls:KeyFile '{key}' does not fit Etcd:Tls:CertificateFile '{certificate}'", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_password_names_its_setting_but_does_not_stand_in_the_message()
    {
        var (certificate, key) = _one.IssuePem("client", "client", "secret-1");

        var e = await FailAsync(new EtcdTlsOptions { CertificateFile = certificate, KeyFile = key, KeyPassword = "not-it" });

        Assert.Contains("Etcd:Tls:KeyPassword", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("not-it", e.ToString(), StringComparison.Ordinal);
    }

    private static Task<TlsFilesException> FailAsync(EtcdTlsOptions options)
        => Assert.ThrowsAsync<TlsFilesException>(() => new TlsFiles(options, NullLogger.Instance).GetOptionsAsync("etcd", CancellationToken.None));
}
