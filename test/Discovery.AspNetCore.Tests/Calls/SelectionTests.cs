using System.Text;
using Microsoft.Extensions.DependencyInjection;

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
    [InlineData("\"draining\":true")]
    [InlineData("\"weight\":0")]
    public async Task The_share_of_a_version_that_gets_no_new_calls_goes_to_the_rest(string metadata)
    {
        await using var harness = new Harness(settings: ("Etcd:Discovery:Services:svc:Split:v2", "50"));
        var servers = await StartAsync(harness);
        Put(harness, servers["v2"].Address, "v2", metadata);
        await Eventually.IsTrue(() => harness.Pool.Current?.Instances.Any(static i => !i.Record.TakesNewCalls) == true);
        using var client = harness.Client();

        for (var i = 0; i < 40; i++)
        {
            Assert.Equal(servers["v1"].Address, await client.GetStringAsync("x"));
        }
    }

    [Fact]
    public async Task The_rest_goes_to_a_version_with_a_share_where_nobody_else_gets_new_calls()
    {
        await using var harness = new Harness(settings: ("Etcd:Discovery:Services:svc:Split:v2", "20"));
        var servers = await StartAsync(harness);
        Put(harness, servers["v1"].Address, "v1", "\"draining\":true");
        await Eventually.IsTrue(() => harness.Pool.Current?.Instances.Any(static i => !i.Record.TakesNewCalls) == true);
        using var client = harness.Client();

        for (var i = 0; i < 40; i++)
        {
            Assert.Equal(servers["v2"].Address, await client.GetStringAsync("x"));
        }
    }

    [Fact]
    public async Task The_share_of_a_version_whose_instances_are_ejected_goes_to_the_rest_until_they_work_again()
    {
        await using var harness = new Harness(
            static o => (o.Ejection.Enabled, o.Ejection.BaseDuration, o.SlowStart) = (true, TimeSpan.FromMilliseconds(300), TimeSpan.Zero),
            settings: ("Etcd:Discovery:Services:svc:Split:v2", "50"));
        var servers = await StartAsync(harness);
        var fails = true;
        var canary = await harness.StartServerAsync(c =>
        {
            c.Response.StatusCode = fails ? 503 : 200;
            return Task.CompletedTask;
        });
        await ReplaceAsync(harness, servers["v2"].Address, canary.Address);
        using var client = harness.Client();
        await Eventually.IsTrue(async () =>
        {
            using var response = await client.GetAsync("x");
            return harness.Log.Lines.Any(static l => l.Contains("are ejected", StringComparison.Ordinal));
        });

        var before = canary.Requests;
        for (var i = 0; i < 20; i++)
        {
            using var response = await client.GetAsync("x");
        }

        Assert.InRange(canary.Requests - before, 0, 3);
        fails = false;
        await Eventually.IsTrue(async () =>
        {
            using var response = await client.GetAsync("x");
            return canary.Requests >= before + 20;
        });
    }

    [Fact]
    public async Task No_call_fails_because_the_only_instance_of_its_share_cannot_be_connected_to()
    {
        await using var harness = new Harness(settings: ("Etcd:Discovery:Services:svc:Split:v2", "50"));
        var servers = await StartAsync(harness);
        await ReplaceAsync(harness, servers["v2"].Address, Harness.RefusingAddress());
        using var client = harness.Client();

        for (var key = 0; key < 20; key++)
        {
            using var keyed = new HttpRequestMessage(HttpMethod.Get, "x") { Headers = { { "discovery-hash-key", $"key-{key}" } } };
            using var response = await client.SendAsync(keyed);
            Assert.Equal(servers["v1"].Address, await response.Content.ReadAsStringAsync());
            Assert.Equal(servers["v1"].Address, await client.GetStringAsync("x"));
        }

        await Assert.ThrowsAsync<HttpRequestException>(() => client.SendAsync(OfVersion("v2")));
    }

    [Fact]
    public async Task A_further_attempt_leaves_the_share_whose_only_instance_failed()
    {
        await using var harness = new Harness(
            client: static b => b.AddHttpMessageHandler(static () => new Again()), settings: ("Etcd:Discovery:Services:svc:Split:v2", "100"));
        var servers = await StartAsync(harness);
        var canary = await harness.StartServerAsync(static c =>
        {
            c.Response.StatusCode = 503;
            return Task.CompletedTask;
        });
        await ReplaceAsync(harness, servers["v2"].Address, canary.Address);
        using var client = harness.Client();

        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(servers["v1"].Address, await client.GetStringAsync("x"));
        }

        Assert.Equal(10, canary.Requests);
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
            Put(harness, server.Address, version, more);
        }

        await Eventually.IsTrue(() => harness.Pool.Current is null || harness.Pool.Current.Instances.Count == 2);
        return servers;
    }

    /// <summary>Another instance in place of the one of the version v2.</summary>
    private static async Task ReplaceAsync(Harness harness, string address, string by)
    {
        harness.Deregister(address);
        Put(harness, by, "v2", "\"tags\":[]");
        await Eventually.IsTrue(() => harness.Pool.Current is { Instances.Count: 2 } current && current.Instances.Any(i => i.Record is { Version: "v2" } r && r.Address == by));
    }

    private static void Put(Harness harness, string address, string version, string metadata)
        => harness.Etcd.Put(
            $"services/{Harness.Service}/{address}",
            Encoding.UTF8.GetBytes($$$"""{"Addr":"{{{address}}}","Metadata":{"version":"{{{version}}}",{{{metadata}}}}}"""));

    private sealed class Again : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var first = await base.SendAsync(request, cancellationToken);
            return first.IsSuccessStatusCode ? first : await base.SendAsync(request, cancellationToken);
        }
    }
}
