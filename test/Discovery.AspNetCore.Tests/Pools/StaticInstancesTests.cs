using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Tests.Pools;

/// <summary>Instances that stand in the settings: etcd is not needed, not even configured.</summary>
public sealed class StaticInstancesTests
{
    private const string Setting = "Etcd:Discovery:Services:svc:Instances";

    [Fact]
    public async Task Calls_go_to_an_instance_on_loopback_without_any_etcd()
    {
        await using var server = await BackendServer.StartAsync();
        using var host = await StartAsync((Setting, server.Address));
        using var client = host.Services.GetRequiredService<IHttpClientFactory>().CreateClient("client");

        Assert.Equal(server.Address, await client.GetStringAsync("x"));
    }

    [Fact]
    public async Task The_directory_has_them_too()
    {
        using var host = await StartAsync(
            ($"{Setting}:0", "https://greeter.example.com"), ($"{Setting}:1", "http://[::1]:5001"), ($"{Setting}:2", "10.0.0.1:5002"));
        var directory = host.Services.GetRequiredService<IServiceDirectory>();

        var snapshot = await directory.WaitForReadyAsync("svc");

        Assert.Equal(
            ["10.0.0.1:5002", "http://[::1]:5001", "https://greeter.example.com:443"],
            snapshot.Instances.Select(i => i.ToString()).Order(StringComparer.Ordinal));
        Assert.Equal((ServiceChangeReason.Configured, Setting), (snapshot.Reason, snapshot.Prefix));
        Assert.True(directory.GetStatus("svc").IsReady);
        Assert.Same(snapshot, directory.GetSnapshot("svc"));
    }

    [Fact]
    public async Task Endpoints_are_still_required_where_one_service_is_not_static()
    {
        var e = await Assert.ThrowsAsync<OptionsValidationException>(() => StartAsync());

        Assert.Contains("Etcd:Endpoints is empty", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_that_is_not_static_says_what_is_missing_when_it_is_first_asked_for()
    {
        using var host = await StartAsync((Setting, "127.0.0.1:9"));
        var directory = host.Services.GetRequiredService<IServiceDirectory>();

        var e = await Assert.ThrowsAnyAsync<ArgumentException>(async () => await directory.WaitForReadyAsync("other"));

        Assert.Contains("Etcd:Endpoints is empty", e.Message, StringComparison.Ordinal);
        Assert.Contains("Etcd:Discovery:Services:<name>:Instances for each service that is called", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Setting, "10.0.0.1", Setting + " has '10.0.0.1': '10.0.0.1' has no port from 1 to 65535; valid is e.g. 127.0.0.1:5001")]
    [InlineData(Setting, "tcp://a:1", Setting + " has 'tcp://a:1': the scheme of 'tcp://a:1' is neither http nor https; valid is e.g. 127.0.0.1:5001")]
    [InlineData(Setting, "https://greeter#x", Setting + " has 'https://greeter#x': 'https://greeter#x' has no port from 1 to 65535; valid is e.g. 127.0.0.1:5001")]
    [InlineData(Setting, "http://user:secret@10.0.0.1:5001", Setting + " has 'http://***@10.0.0.1:5001', with a user in it, which no instance has; valid is e.g. 127.0.0.1:5001")]
    [InlineData(Setting, "https://user:secret@greeter", Setting + " has 'https://***@greeter', with a user in it, which no instance has; valid is e.g. 127.0.0.1:5001")]
    [InlineData(Setting, "a:1,https://user:secret,2@greeter,b:2", Setting + " has 'a:1,https://***@greeter,b:2', with a user in it, which no instance has")]
    [InlineData("Etcd:Discovery:Instances", "http://user:secret,2@a:1", "Etcd:Discovery:Instances is 'http://***@a:1', for all services; set it for one")]
    [InlineData("Etcd:Discovery:Instances", "http://user:secret@a:1,b:1", "Etcd:Discovery:Instances is 'http://***@a:1,b:1', for all services; set it for one")]
    [InlineData("Etcd:Discovery:Instances", "10.0.0.1:1", "Etcd:Discovery:Instances is '10.0.0.1:1', for all services; set it for one")]
    public async Task A_wrong_setting_stops_the_start_and_is_named_with_a_valid_one(string setting, string value, string expected)
    {
        var e = await Assert.ThrowsAnyAsync<Exception>(() => StartAsync((setting, value)));

        Assert.Contains(expected, e.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("secret", e.ToString(), StringComparison.Ordinal);
    }

    private static async Task<IHost> StartAsync(params (string Key, string Value)[] settings)
    {
        var host = new HostBuilder()
            .ConfigureAppConfiguration(c => c.AddInMemoryCollection(settings.ToDictionary(s => s.Key, s => (string?)s.Value)))
            .ConfigureServices(s => s.AddHttpClient("client").AddEtcdDiscovery("svc"))
            .Build();
        await host.StartAsync();
        return host;
    }
}
