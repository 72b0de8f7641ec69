using System.Text;

namespace Discovery.AspNetCore.Tests.Calls;

public sealed class SelectionTests
{
    [Theory]
    [InlineData("Version", "v2", "v2")]
    [InlineData("Tags", "blue, fast", "v1")]
    [InlineData("Metadata:region", "north", "v2")]
    public async Task Calls_go_to_the_instances_that_are_selected(string setting, string value, string expected)
    {
        await using var harness = new Harness(settings: ($"Etcd:Discovery:Services:svc:Select:{setting}", value));
        var servers = await StartAsync(harness);
        using var client = harness.Client();

        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(servers[expected].Address, await client.GetStringAsync("x"));
        }
    }

    [Fact]
    public async Task Empty_texts_select_nothing_neither_for_a_service_nor_for_a_call()
    {
        await using var harness = new Harness(settings: ("Etcd:Discovery:Services:svc:Select:Version", ""));
        var servers = await StartAsync(harness);
        using var client = harness.Client();

        for (var i = 0; i < 20; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "x")
            {
                Headers = { { "discovery-version", "" }, { "discovery-instance", "" }, { "discovery-hash-key", "" } },
            };
            using var response = await client.SendAsync(request);
        }

        Assert.All(servers.Values, static s => Assert.Equal(10, s.Requests));
    }

    [Fact]
    public async Task Where_none_is_selected_calls_fail_and_say_why()
    {
        await using var harness = new Harness(settings: ("Etcd:Discovery:Services:svc:Select:Version", "v9"));
        await StartAsync(harness);
        using var client = harness.Client();

        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync("x"));

        Assert.Contains("none of them fits Etcd:Discovery:Services:svc:Select (Version v9)", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_call_may_ask_for_a_version()
    {
        await using var harness = new Harness();
        var servers = await StartAsync(harness);
        using var client = harness.Client();
        for (var i = 0; i < 10; i++)
        {
            using var response = await client.SendAsync(OfVersion("v2"));
            Assert.Equal(servers["v2"].Address, await response.Content.ReadAsStringAsync());
        }

        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.SendAsync(OfVersion("v3")));
        Assert.Contains("none of version 'v3' (discovery-version); there are the versions v1, v2", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_share_of_the_calls_goes_to_a_version_and_a_key_stays_with_one()
    {
        await using var harness = new Harness(settings: ("Etcd:Discovery:Services:svc:Split:v2", "20"));
        var servers = await StartAsync(harness);
        using var client = harness.Client();
        for (var i = 0; i < 500; i++)
        {
            await client.GetStringAsync("x");
        }

        Assert.InRange(servers["v2"].Requests, 60, 145);
        for (var key = 0; key < 20; key++)
        {
            var answers = new HashSet<string>();
            for (var i = 0; i < 5; i++)
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, "x") { Headers = { { "discovery-hash-key", $"key-{key}" } } };
                using var response = await client.SendAsync(request);
                answers.Add(await response.Content.ReadAsStringAsync());
            }

            Assert.Single(answers);
        }
    }

    [Theory]
    [InlineData("RoundRobin", false)]
    [InlineData("ConsistentHash", true)]
    public async Task A_small_share_is_spread_over_all_instances_of_its_version_and_a_key_stays_with_one(string policy, bool hasKeys)
    {
        await using var harness = new Harness(o => o.Policy = policy, settings: ("Etcd:Discovery:Services:svc:Split:v2", "5"));
        var servers = new List<(BackendServer Server, string Version)>();
        foreach (var version in new[] { "v1", "v1", "v1", "v2", "v2", "v2" })
        {
            var server = await harness.StartServerAsync();
            servers.Add((server, version));
            harness.Etcd.Put(
                $"services/{Harness.Service}/{server.Address}",
                Encoding.UTF8.GetBytes($$$"""{"Addr":"{{{server.Address}}}","Metadata":{"version":"{{{version}}}"}}"""));
        }

        using var client = harness.Client();
        async Task<string> CallAsync(int key)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "x");
            if (hasKeys)
            {
                request.Options.Set(EtcdRequestOptions.HashKey, $"key-{key}");
            }

            using var response = await client.SendAsync(request);
            return await response.Content.ReadAsStringAsync();
        }

        var answers = new List<string>();
        for (var key = 0; key < 1000; key++)
        {
            answers.Add(await CallAsync(key));
        }

        // Of a thousand calls 50, give or take five times the standard deviation.
        Assert.InRange(servers.Where(static s => s.Version == "v2").Sum(static s => s.Server.Requests), 15, 85);
        Assert.All(servers, static s => Assert.True(s.Server.Requests >= (s.Version == "v2" ? 1 : 100), $"{s.Version}: {s.Server.Requests}"));
        for (var key = 0; hasKeys && key < answers.Count; key += 5)
        {
            Assert.Equal(answers[key], await CallAsync(key));
        }
    }

    [Fact]
    public async Task The_share_of_a_version_that_is_gone_goes_to_the_rest()
    {
        await using var harness = new Harness(settings: ("Etcd:Discovery:Services:svc:Split:v7", "100"));
        await StartAsync(harness);
        using var client = harness.Client();

        Assert.NotEmpty(await client.GetStringAsync("x"));
    }

    [Theory]
    [InlineData("v2", "-1", "Etcd:Discovery:Services:svc:Split:v2 is '-1'; it must be a share in percent, from 0 to 100, e.g. 5.")]
    [InlineData("v2", "101", "Etcd:Discovery:Services:svc:Split:v2 is '101'; it must be a share in percent, from 0 to 100, e.g. 5.")]
    public async Task A_wrong_share_is_named(string version, string value, string expected)
    {
        await using var harness = new Harness(settings: ($"Etcd:Discovery:Services:svc:Split:{version}", value));

        var e = Assert.Throws<Microsoft.Extensions.Options.OptionsValidationException>(() => harness.Client());

        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    private static HttpRequestMessage OfVersion(string version)
        => new(HttpMethod.Get, "x") { Headers = { { "discovery-version", version } } };

    private static async Task<Dictionary<string, BackendServer>> StartAsync(Harness harness)
    {
        var servers = new Dictionary<string, BackendServer>();
        foreach (var (version, more) in new[] { ("v1", "\"tags\":[\"blue\",\"fast\"]"), ("v2", "\"tags\":[\"blue\"],\"region\":\"north\"") })
        {
            var server = await harness.StartServerAsync();
            servers[version] = server;
            harness.Etcd.Put(
                $"services/{Harness.Service}/{server.Address}",
                Encoding.UTF8.GetBytes($$$"""{"Addr":"{{{server.Address}}}","Metadata":{"version":"{{{version}}}",{{{more}}}}}"""));
        }

        await Eventually.IsTrue(() => harness.Pool.Current is null || harness.Pool.Current.Instances.Count == 2);
        return servers;
    }
}
