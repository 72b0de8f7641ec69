using System.Diagnostics;
using System.Globalization;
using Discovery.AspNetCore;
using Discovery.Etcd;
using Discovery.IntegrationTests.Etcd;
using Microsoft.Extensions.Logging;
using Xunit.Abstractions;

namespace Discovery.IntegrationTests.Discovery;

public sealed class OutageTests(ITestOutputHelper output)
{
    /// <summary>How long etcd is away: 12 s, or what DISCOVERY_OUTAGE_SECONDS says; a minute is what is promised.</summary>
    private static readonly TimeSpan Outage = TimeSpan.FromSeconds(Extent.Of("DISCOVERY_OUTAGE_SECONDS", 12));

    [Fact]
    public async Task With_etcd_away_no_call_fails_and_what_was_added_meanwhile_is_used_within_a_second_of_its_return()
    {
        await using var process = await EtcdProcess.StartAsync();
        await using var etcd = Clients.Connect(process.Endpoint);
        await using var fleet = new Fleet(etcd);
        await fleet.AddAsync();
        await fleet.AddAsync();
        await using var client = new ServiceClient(process.Endpoint, fleet.Service, o => o.Policy = BalancingPolicies.LeastLoad);
        await client.Directory.WaitForReadyAsync(fleet.Service);
        await using var load = new Load(client.Http, callers: 2);
        await load.MoreAsync(100);

        var away = Stopwatch.StartNew();
        await process.KillAsync();
        await Eventually.IsTrue(() => !client.Directory.GetStatus(fleet.Service).IsConnected);
        var added = await fleet.StartAsync();
        await Eventually.IsTrue(() => away.Elapsed >= Outage, Outage * 2);
        Assert.True(client.Directory.GetStatus(fleet.Service).Age > Outage - TimeSpan.FromSeconds(5));
        Assert.NotNull(client.Directory.GetStatus(fleet.Service).LastError);

        var registering = RegisterWhenPossibleAsync(fleet, added.Address);
        await process.RestartAsync();
        var back = Stopwatch.StartNew();
        await Eventually.IsTrue(() => load.Answers.ContainsKey(added.Address));
        back.Stop();
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"etcd away for {away.Elapsed.TotalSeconds:0.0} s: {load.Made} calls, {load.Failures.Count} failed; the new instance was called "
            + $"{back.ElapsedMilliseconds} ms after etcd's return"));
        await registering;

        Assert.Empty(load.Failures);
        Assert.InRange(back.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(1));
        Assert.Empty(client.Log.At(LogLevel.Error));
    }

    [Fact]
    public async Task Started_with_etcd_away_the_snapshot_on_disk_serves_the_first_call()
    {
        var directory = Path.Combine(Path.GetTempPath(), $"snapshots-{Guid.NewGuid():N}");
        try
        {
            await using var process = await EtcdProcess.StartAsync();
            await using var etcd = Clients.Connect(process.Endpoint);
            await using var fleet = new Fleet(etcd);
            var server = await fleet.AddAsync();
            await using (var before = new ServiceClient(process.Endpoint, fleet.Service, o => o.SnapshotDirectory = directory))
            {
                await before.Directory.WaitForReadyAsync(fleet.Service);
            }

            await process.KillAsync();
            await using var client = new ServiceClient(process.Endpoint, fleet.Service, o => o.SnapshotDirectory = directory);
            Assert.Equal(server.Address, await client.Http.GetStringAsync("x"));
            Assert.Equal(ServiceChangeReason.ReadFromDisk, client.Snapshot!.Reason);
            Assert.Null(client.Directory.GetStatus(fleet.Service).Age);
            Assert.Contains(client.Log.At(LogLevel.Warning), l => l.Contains("starts with 1 records from the snapshot on disk", StringComparison.Ordinal));

            await process.RestartAsync();
            await fleet.AddAsync();
            await Eventually.IsTrue(() => client.Snapshot!.Instances.Count == 2);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public async Task A_wiped_etcd_is_believed_after_a_new_list_and_fails_no_call()
    {
        await using var process = await EtcdProcess.StartAsync();
        await using var etcd = Clients.Connect(process.Endpoint);
        await using var fleet = new Fleet(etcd);
        for (var i = 0; i < 20; i++)
        {
            await fleet.RegisterAsync("10.0.0.1:80");
        }

        await fleet.DeregisterAsync("10.0.0.1:80");
        await fleet.AddAsync();
        var stays = await fleet.AddAsync();
        await using var client = new ServiceClient(process.Endpoint, fleet.Service);
        await client.Directory.WaitForReadyAsync(fleet.Service);
        await using var load = new Load(client.Http, callers: 2);
        await load.MoreAsync(50);

        await process.KillAsync();
        process.Member.Wipe();
        await process.RestartAsync();
        await Eventually.IsTrue(() => client.Snapshot!.HeldAddresses.Count == 2);
        await fleet.RegisterAsync(stays.Address);
        var added = await fleet.AddAsync();
        await Eventually.IsTrue(() => load.Answers.ContainsKey(added.Address));

        Assert.Single(client.Snapshot!.HeldAddresses);
        Assert.Empty(load.Failures);
        Assert.Contains(client.Log.At(LogLevel.Warning), l => l.Contains("etcd's history changed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_a_quorum_a_new_client_takes_one_members_own_view()
    {
        await using var cluster = await EtcdCluster.StartAsync(3, new EtcdProcessOptions { FastElections = true });
        await using var etcd = Clients.Connect(cluster.Endpoints);
        await using var fleet = new Fleet(etcd);
        var server = await fleet.AddAsync();
        await Task.WhenAll(cluster.Members.Skip(1).Select(m => m.KillAsync()));

        await using var client = new ServiceClient(cluster.Endpoints, fleet.Service, o => o.ReadyTimeout = TimeSpan.FromSeconds(9));
        Assert.Equal(server.Address, await client.Http.GetStringAsync("x"));
        Assert.Equal(ServiceChangeReason.ListedWithoutQuorum, client.Snapshot!.Reason);

        await cluster.StartMemberAsync(cluster.Members[1]);
        await fleet.AddAsync();
        await Eventually.IsTrue(() => client.Snapshot!.Instances.Count == 2);
    }

    private static async Task RegisterWhenPossibleAsync(Fleet fleet, string address)
    {
        await Eventually.IsTrue(async () =>
        {
            try
            {
                await fleet.RegisterAsync(address);
                return true;
            }
            catch (EtcdException)
            {
                return false;
            }
        });
    }
}
