using System.Globalization;
using Discovery.AspNetCore;
using Discovery.IntegrationTests.Etcd;
using Microsoft.AspNetCore.Http;
using Xunit.Abstractions;

namespace Discovery.IntegrationTests.Discovery;

public sealed class LoadTests(OneNode node, ITestOutputHelper output) : IClassFixture<OneNode>
{
    [Fact]
    public async Task Calls_are_shared_evenly_and_none_fails_when_an_instance_dies()
    {
        await using var etcd = node.Connect();
        await using var fleet = new Fleet(etcd);
        var servers = new List<BackendServer> { await fleet.AddAsync(), await fleet.AddAsync(), await fleet.AddAsync() };
        await using var client = new ServiceClient(node.Etcd.Endpoint, fleet.Service);
        await client.Directory.WaitForReadyAsync(fleet.Service);

        await using (var even = new Load(client.Http))
        {
            await even.MoreAsync(3000);
            await even.StopAsync();
            Assert.Equal(3, even.Answers.Count);
            Assert.All(even.Answers.Values, c => Assert.InRange(c, even.Made / 3 - 10, (even.Made / 3) + 10));
            Assert.Empty(even.Failures);
        }

        await using var load = new Load(client.Http);
        await load.MoreAsync(300);
        await load.BetweenCallsAsync(servers[0].KillAsync);
        await load.MoreAsync(1000);

        Assert.Empty(load.Failures);
        Assert.True(load.Answers[servers[1].Address] > 400);
    }

    [Fact]
    public async Task One_slow_one_refusing_one_unavailable_and_one_fine()
    {
        await using var etcd = node.Connect();
        await using var fleet = new Fleet(etcd);
        var fine = await fleet.AddAsync();
        await fleet.AddAsync(async c =>
        {
            await Task.Delay(200);
            await c.Response.WriteAsync("slow");
        });
        await fleet.AddAsync(static c =>
        {
            c.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return Task.CompletedTask;
        });
        var refusing = await fleet.AddAsync();
        await refusing.KillAsync();
        await using var client = new ServiceClient(node.Etcd.Endpoint, fleet.Service, o => o.Policy = BalancingPolicies.LeastLoad);
        await client.Directory.WaitForReadyAsync(fleet.Service);

        await using var load = new Load(client.Http, callers: 8);
        await load.MoreAsync(4000);
        await load.StopAsync();

        var slow = load.Answers.GetValueOrDefault("slow");
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{load.Made} calls: fine {load.Answers[fine.Address]}, slow {slow}, unavailable {load.Failures.Count}, refusing 0 (moved on)"));
        Assert.All(load.Failures, f => Assert.Contains("503", f, StringComparison.Ordinal));
        Assert.InRange(load.Failures.Count, 1, load.Made / 100);
        Assert.InRange(load.Answers[fine.Address], load.Made * 0.9, load.Made);
    }

    [Fact]
    public async Task All_keys_deleted_by_mistake_fails_no_call_and_is_told_once_and_loudly()
    {
        await using var etcd = node.Connect();
        await using var fleet = new Fleet(etcd);
        var servers = new List<BackendServer> { await fleet.AddAsync(), await fleet.AddAsync(), await fleet.AddAsync() };
        await using var client = new ServiceClient(node.Etcd.Endpoint, fleet.Service);
        await client.Directory.WaitForReadyAsync(fleet.Service);
        await using var load = new Load(client.Http);
        await load.MoreAsync(100);

        await fleet.DeleteAllAsync();
        await Eventually.IsTrue(() => client.Snapshot!.HeldAddresses.Count == 3);
        await load.MoreAsync(500);
        await fleet.RegisterAsync(servers[0].Address);
        await Eventually.IsTrue(() => client.Snapshot!.HeldAddresses.Count == 2);
        await load.MoreAsync(500);

        Assert.Empty(load.Failures);
        Assert.Equal(3, load.Answers.Count);
        Assert.Contains(
            $"3 instances of service '{fleet.Service}' vanished at once from '{fleet.Prefix}' without draining (0 are left)",
            Assert.Single(client.Log.At(Microsoft.Extensions.Logging.LogLevel.Error)),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_deleted_one_by_one_are_told_once_too_and_a_held_instance_that_is_gone_is_left_out()
    {
        await using var etcd = node.Connect();
        await using var fleet = new Fleet(etcd);
        var servers = new List<BackendServer>();
        for (var i = 0; i < 6; i++)
        {
            servers.Add(await fleet.AddAsync());
        }

        // Five of six end at a stroke: a call that may try three instances could meet only dead ones.
        await using var client = new ServiceClient(node.Etcd.Endpoint, fleet.Service, static o => o.MaxConnectAttempts = 6);
        await client.Directory.WaitForReadyAsync(fleet.Service);
        await using var load = new Load(client.Http);
        await load.MoreAsync(100);
        foreach (var server in servers)
        {
            await fleet.DeregisterAsync(server.Address);
        }

        await Eventually.IsTrue(() => client.Snapshot!.HeldAddresses.Count == 6);
        await load.BetweenCallsAsync(async () =>
        {
            for (var i = 0; i < 5; i++)
            {
                await servers[i].KillAsync();
            }
        });
        await Eventually.IsTrue(() => client.Pool.Current!.Instances.Count == 1);
        await load.MoreAsync(200);

        Assert.Empty(load.Failures);
        Assert.Single(client.Log.At(Microsoft.Extensions.Logging.LogLevel.Error));
    }
}
