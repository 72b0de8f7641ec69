using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Tests;

public sealed class EtcdClientOptionsTests
{
    public static TheoryData<string, string> Wrong => new()
    {
        { nameof(EtcdClientOptions.RequestTimeout), "Etcd:RequestTimeout is '00:00:00': set a time from 00:00:00.0100000 to 01:00:00, e.g. 00:00:05." },
        { nameof(EtcdClientOptions.AttemptTimeout), "Etcd:AttemptTimeout is '-00:00:01'" },
        { nameof(EtcdClientOptions.KeepAlivePingDelay), "Etcd:KeepAlivePingDelay is '00:00:05': set a time from 00:00:10" },
        { nameof(EtcdClientOptions.KeepAlivePingTimeout), "Etcd:KeepAlivePingTimeout is '00:00:00'" },
        { nameof(EtcdClientOptions.Username), "Etcd:Username is not set" },
        { nameof(EtcdClientOptions.Password), "Etcd:Password is not set, but Etcd:Username is 'app'" },
        { nameof(EtcdTlsOptions.CaFile), "Etcd:Tls:CaFile is '/does/not/exist', which does not exist" },
        { nameof(EtcdTlsOptions.ServerName), "Etcd:Tls:ServerName is 'https://etcd', which is no host name" },
        { nameof(EtcdTlsOptions.CertificateFile), "Etcd:Tls:CertificateFile is not set, but Etcd:Tls:KeyFile is" },
        { nameof(EtcdTlsOptions.KeyPassword), "Etcd:Tls:KeyPassword is set, but Etcd:Tls:CertificateFile is not" },
    };

    [Fact]
    public void The_defaults_need_nothing_but_endpoints() =>
        Assert.Empty(new EtcdClientOptions { Endpoints = ["http://10.0.0.1:2379"] }.Validate());

    [Theory]
    [MemberData(nameof(Wrong))]
    public void A_wrong_setting_is_named_with_its_value_and_a_valid_one(string setting, string message)
    {
        var options = new EtcdClientOptions { Endpoints = ["http://10.0.0.1:2379"] };
        switch (setting)
        {
            case nameof(EtcdClientOptions.RequestTimeout):
                options.RequestTimeout = TimeSpan.Zero;
                break;
            case nameof(EtcdClientOptions.AttemptTimeout):
                options.AttemptTimeout = TimeSpan.FromSeconds(-1);
                break;
            case nameof(EtcdClientOptions.KeepAlivePingDelay):
                options.KeepAlivePingDelay = TimeSpan.FromSeconds(5);
                break;
            case nameof(EtcdClientOptions.KeepAlivePingTimeout):
                options.KeepAlivePingTimeout = TimeSpan.Zero;
                break;
            case nameof(EtcdClientOptions.Username):
                options.Password = "geheim";
                break;
            case nameof(EtcdClientOptions.Password):
                options.Username = "app";
                break;
            case nameof(EtcdTlsOptions.CaFile):
                options.Tls.CaFile = "/does/not/exist";
                break;
            case nameof(EtcdTlsOptions.ServerName):
                options.Tls.ServerName = "https://etcd";
                break;
            case nameof(EtcdTlsOptions.KeyPassword):
                options.Tls.KeyPassword = "geheim";
                break;
            default:
                options.Tls.KeyFile = typeof(EtcdClientOptionsTests).Assembly.Location;
                break;
        }

        var failure = Assert.Single(options.Validate());
        Assert.StartsWith(message, failure, StringComparison.Ordinal);
        Assert.DoesNotContain("geheim", failure, StringComparison.Ordinal);
        Assert.Contains(failure, Assert.Throws<ArgumentException>(() => new EtcdClient(options)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void All_wrong_settings_are_named_together() =>
        Assert.Equal(3, new EtcdClientOptions { Endpoints = ["x", "y"], RequestTimeout = TimeSpan.Zero }.Validate().Count);

    [Theory]
    [InlineData("http://10.0.0.1:2379", "geheim", 1)]
    [InlineData("https://10.0.0.1:2379", "geheim", 0)]
    [InlineData("http://10.0.0.1:2379", null, 0)]
    public async Task A_password_that_goes_unencrypted_is_warned_of_once(string endpoint, string? password, int warnings)
    {
        using var log = new LogRecorder();
        using var loggers = LoggerFactory.Create(l => l.AddProvider(log));

        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [endpoint, endpoint + "0"], Username = password is null ? null : "app", Password = password }, loggers);

        Assert.Equal(warnings, log.At(LogLevel.Warning).Count);
        Assert.All(log.Lines, l => Assert.DoesNotContain("geheim", l, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("http://10.0.0.1:2379", 1)]
    [InlineData("https://10.0.0.1:2379", 0)]
    [InlineData("10.0.0.1:2379", 0)]
    public async Task Tls_that_is_set_up_for_an_endpoint_without_it_is_warned_of_once(string endpoint, int warnings)
    {
        using var log = new LogRecorder();
        using var loggers = LoggerFactory.Create(l => l.AddProvider(log));

        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [endpoint, endpoint + "0"], Tls = { ServerName = "etcd.example.com" } }, loggers);

        Assert.Equal(warnings, log.At(LogLevel.Warning).Count(static l => l.Contains("Etcd:Tls is set, but http://10.0.0.1:2379/ ", StringComparison.Ordinal)));
    }
}
