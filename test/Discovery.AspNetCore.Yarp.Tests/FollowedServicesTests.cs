using System.Net;
using Discovery.AspNetCore.Yarp.Destinations;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Configuration;

namespace Discovery.AspNetCore.Yarp.Tests;

/// <summary>What the proxy goes by while its configuration and the settings change.</summary>
public sealed class FollowedServicesTests : ProxyTestBase
{
    private static readonly RouteConfig[] Routes =
        [new RouteConfig { RouteId = "all", ClusterId = "greeter", Match = new RouteMatch { Path = "{**rest}" } }];

    [Fact]
    public async Task A_service_that_leaves_the_configuration_is_followed_no_more_and_again_when_it_returns()
    {
        var server = await StartServerAsync();
        var proxy = await StartAsync(Leading("etcd://Greeter"), Leading("etcd://Absent", "other"));
        var services = proxy.Services.GetRequiredService<FollowedServices>();
        var memory = proxy.Services.GetRequiredService<InMemoryConfigProvider>();
        Assert.Equal(["Absent", "Greeter"], services.ServiceNames);

        memory.Update(Routes, [Leading("http://127.0.0.1:1"), Leading("etcd://Absent", "other")]);
        await Eventually.IsTrue(() => services.ServiceNames.SequenceEqual(["Absent"]));

        memory.Update(Routes, [Leading("etcd://Greeter")]);
        using var client = ClientOf(proxy);
        await Eventually.IsTrue(async () => await GetAsync(client) == (HttpStatusCode.OK, Port(server)));
        await Eventually.IsTrue(() => services.ServiceNames.SequenceEqual(["Greeter"]));
        var second = await StartServerAsync();
        await Eventually.IsTrue(() => Destinations(proxy).Count == 2);
    }

    [Fact]
    public async Task A_service_stays_followed_while_a_configuration_is_refused()
    {
        await StartServerAsync();
        var proxy = await StartAsync(Leading("etcd://Greeter"));
        var memory = proxy.Services.GetRequiredService<InMemoryConfigProvider>();

        memory.Update(Routes, [Leading("http://127.0.0.1:1") with { LoadBalancingPolicy = "none" }]);
        await Eventually.IsTrue(() => Log.Has(LogLevel.Error, "apply"));

        Assert.Equal(["Greeter"], proxy.Services.GetRequiredService<FollowedServices>().ServiceNames);
    }

    [Fact]
    public async Task EtcdLeastLoad_follows_changed_settings()
    {
        var here = await StartServerAsync(static o => o.Zone = "a");
        var there = await StartServerAsync(static o => o.Zone = "b");
        var proxy = await StartProxyAsync(builder =>
        {
            builder.Configuration["Etcd:Discovery:Zone"] = "a";
            builder.Services.AddReverseProxy()
                .LoadFromMemory(Routes, [Leading("etcd://Greeter") with { LoadBalancingPolicy = EtcdLoadBalancingPolicies.LeastLoad }])
                .AddEtcdDestinationResolver();
        });
        await Eventually.IsTrue(() => Destinations(proxy).Count == 2);
        using var client = ClientOf(proxy);
        Assert.Equal(Port(here), (await GetAsync(client)).Text);

        var configuration = (IConfigurationRoot)proxy.Configuration;
        configuration["Etcd:Discovery:Zone"] = "b";
        configuration.Reload();

        var inARow = 0;
        await Eventually.IsTrue(async () => (inARow = (await GetAsync(client)).Text == Port(there) ? inARow + 1 : 0) == 10);
    }

    private static ClusterConfig Leading(string address, string id = "greeter") => new()
    {
        ClusterId = id,
        Destinations = new Dictionary<string, DestinationConfig> { ["all"] = new() { Address = address } },
    };

    private Task<WebApplication> StartAsync(params ClusterConfig[] clusters) => StartProxyAsync(builder =>
        builder.Services.AddReverseProxy().LoadFromMemory(Routes, clusters).AddEtcdDestinationResolver(static o => o.ReadyTimeout = TimeSpan.FromSeconds(1)));
}
