using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Yarp.Tests;

/// <summary>What the page of a gateway says of the services that it calls.</summary>
public sealed class PageTests : ProxyTestBase
{
    [Fact]
    public async Task Requests_that_the_proxy_balances_by_EtcdLeastLoad_are_calls()
    {
        await StartServerAsync();
        await StartServerAsync();
        var proxy = await StartWithPageAsync(EtcdLoadBalancingPolicies.LeastLoad);
        await Eventually.IsTrue(() => Destinations(proxy).Count == 2);
        using var client = ClientOf(proxy);
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await GetAsync(client)).Status);
        }

        await Eventually.IsTrue(() => BalancerOf(proxy).InFlight == 0);
        var service = await ServiceAsync(client);
        Assert.Equal(("Greeter (YARP cluster greeter)", "EtcdLeastLoad", 20), (Text(service, "id"), Text(service, "policy"), service.GetProperty("calls").GetInt32()));
        Assert.Equal((2, 0), (service.GetProperty("instances").GetInt32(), service.GetProperty("notSelected").GetInt32()));

        var rows = (await ReportAsync(client)).GetProperty("details").EnumerateArray().Single().GetProperty("rows").EnumerateArray().ToList();
        Assert.Equal(20, rows.Sum(static r => r.GetProperty("calls").GetInt32()));
        Assert.All(rows, static r => Assert.Equal("ready", Text(r, "state")));
        Assert.Contains("SERVICE Greeter as YARP cluster greeter calls it, ", (await GetAsync(client, "/discovery?format=text")).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_is_no_destination_is_not_selected()
    {
        await StartServerAsync(static o => o.Tags.Add("blue"));
        var other = await StartServerAsync();
        var proxy = await StartWithPageAsync(
            EtcdLoadBalancingPolicies.LeastLoad, static o => o.Select.Tags.Add("blue"));
        await Eventually.IsTrue(() => Destinations(proxy).Count == 1);
        using var client = ClientOf(proxy);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(client)).Status);

        await Eventually.IsTrue(async () => (await ServiceAsync(client)).GetProperty("instances").GetInt32() == 2);
        Assert.Equal(1, (await ServiceAsync(client)).GetProperty("notSelected").GetInt32());
        var rows = (await ReportAsync(client)).GetProperty("details").EnumerateArray().Single().GetProperty("rows").EnumerateArray();
        var row = rows.Single(static r => Text(r, "state") != "ready");
        Assert.Equal("not selected", Text(row, "state"));
        Assert.EndsWith($":{Port(other)}", Text(row, "address"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_whose_record_has_a_host_in_capitals_is_a_destination_like_any()
    {
        await StartServerAsync(static o => o.AdvertisedHost = "LOCALHOST");
        var proxy = await StartWithPageAsync(EtcdLoadBalancingPolicies.LeastLoad);
        await Eventually.IsTrue(() => Destinations(proxy).Count == 1);
        using var client = ClientOf(proxy);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(client)).Status);

        var row = (await ReportAsync(client)).GetProperty("details").EnumerateArray().Single().GetProperty("rows").EnumerateArray().Single();
        Assert.StartsWith("localhost:", Text(row, "address"), StringComparison.Ordinal);
        Assert.Equal(("ready", 1), (Text(row, "state"), row.GetProperty("calls").GetInt32()));
    }

    [Fact]
    public async Task A_server_that_fails_is_ejected_on_the_page()
    {
        await StartServerAsync(static o => o.AdvertisedUrls.Add("http://127.0.0.1:1"));
        await StartServerAsync();
        var proxy = await StartWithPageAsync(EtcdLoadBalancingPolicies.LeastLoad, static o => o.Ejection.BaseDuration = o.Ejection.MaxDuration = TimeSpan.FromMinutes(10));
        await Eventually.IsTrue(() => Destinations(proxy).Count == 2);
        using var client = ClientOf(proxy);

        await Eventually.IsTrue(async () =>
        {
            await GetAsync(client);
            return (await ServiceAsync(client)).GetProperty("ejected").GetInt32() == 1;
        });

        await Eventually.IsTrue(async () => (await ReportAsync(client)).GetProperty("changes").EnumerateArray().Any(static c => Text(c, "kind") == "ejected"));
    }

    [Fact]
    public async Task The_requests_of_other_policies_are_not_counted()
    {
        await StartServerAsync();
        var proxy = await StartWithPageAsync("RoundRobin");
        await Eventually.IsTrue(() => Destinations(proxy).Count == 1);
        using var client = ClientOf(proxy);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(client)).Status);

        var line = (await GetAsync(client, "/discovery?format=text")).Text.Split('\n').Single(static l => l.StartsWith("SERVICE Greeter, ", StringComparison.Ordinal));
        Assert.Contains(", no calls counted, ", line, StringComparison.Ordinal);
    }

    private static string? Text(JsonElement element, string property) => element.GetProperty(property).GetString();

    private static Task<JsonElement> ReportAsync(HttpClient client) => client.GetFromJsonAsync<JsonElement>("/discovery?format=json");

    private static async Task<JsonElement> ServiceAsync(HttpClient client)
        => Assert.Single((await ReportAsync(client)).GetProperty("services").EnumerateArray());

    private async Task<WebApplication> StartWithPageAsync(string policy, Action<EtcdDiscoveryOptions>? configure = null)
        => await StartProxyAsync(
            policy: policy,
            configure: services =>
            {
                services.AddEtcdDiscovery(o =>
                {
                    o.SlowStart = TimeSpan.Zero;
                    configure?.Invoke(o);
                });
                services.AddSingleton<IStartupFilter, PageFilter>();
            });

    /// <summary>Maps the page before the proxy, whose route takes every path.</summary>
    private sealed class PageFilter : IStartupFilter
    {
        public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
        {
            app.UseRouting();
            app.UseEndpoints(static e => e.MapEtcdDiscovery());
            next(app);
        };
    }
}
