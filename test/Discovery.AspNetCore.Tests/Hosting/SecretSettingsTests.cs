using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Tests.Hosting;

/// <summary>A password that stands where it does not belong is shown neither in an error nor in a log.</summary>
public sealed class SecretSettingsTests
{
    private const string Secret = "hunter2";

    [Theory]
    [InlineData("Etcd:Password:0")]
    [InlineData("Etcd:Password:Value")]
    [InlineData("Etcd:Username:Password")]
    [InlineData("Etcd:Tls")]
    [InlineData("Etcd:Tls:0")]
    [InlineData("Etcd:Tls:KeyPassword:Secret")]
    [InlineData("Etcd:Endpoints:Password")]
    [InlineData("Etcd:RequestTimeout:Password")]
    [InlineData("Etcd:Clusters:dc2:Password:0")]
    [InlineData("Etcd:Clusters:dc2:Tls")]
    [InlineData("Etcd:Registration")]
    [InlineData("Etcd:Registration:Metadata")]
    [InlineData("Etcd:Registration:Metadata:0")]
    [InlineData("Etcd:Registration:Metadata:token:value")]
    [InlineData("Etcd:Registration:Services:0")]
    [InlineData("Etcd:Registration:Services:greeter")]
    [InlineData("Etcd:Registration:Tags:token")]
    [InlineData("Etcd:Discovery")]
    [InlineData("Etcd:Discovery:Select:Metadata")]
    [InlineData("Etcd:Discovery:Services:orders:Instances:password")]
    public async Task It_is_not_repeated_by_the_error_of_a_shape(string setting)
    {
        var (error, log) = await StartAsync(setting, Secret);

        Assert.Contains(setting.Replace(":0", "", StringComparison.Ordinal), error, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, error + log, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Etcd:Discovery:Clients:orders:Service", "http://joe:hunter2@10.0.0.1/", "'http://***@10.0.0.1/'")]
    [InlineData("Etcd:Endpoints:0", "Endpoints=http://a:1;Username=root;Password = hunter2", "Etcd:Endpoints holds a connection string")]
    [InlineData("Etcd:Endpoints:0", "Endpoints=http://a:1;User=root;Pwd=hunter2", "Etcd:Endpoints holds a connection string")]
    public async Task It_is_not_repeated_by_the_error_of_an_address(string setting, string value, string expected)
    {
        var (error, log) = await StartAsync(setting, value);

        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, error + log, StringComparison.Ordinal);
    }

    private static async Task<(string Error, string Log)> StartAsync(string setting, string value)
    {
        using var log = new LogRecorder();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(
        [
            new("Etcd:Endpoints:0", "http://127.0.0.1:9"), new("Etcd:Clusters:dc2:Endpoints:0", "http://127.0.0.1:10"),
            new("Etcd:Registration:ServiceName", "greeter"),
        ]);
        builder.Configuration.AddInMemoryCollection([new(setting, value)]);
        builder.Logging.AddProvider(log);
        builder.Services.AddEtcdRegistration().AddKeyedEtcdRegistration("dc2").AddHttpClient("orders").AddEtcdDiscovery();
        using var host = builder.Build();

        var error = await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await host.StartAsync();
            _ = host.Services.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>().Get("orders");
        });
        return (error.ToString(), string.Join('\n', Enum.GetValues<LogLevel>().SelectMany(log.At)));
    }
}
