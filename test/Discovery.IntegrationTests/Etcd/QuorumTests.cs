using Discovery.Etcd;
using Xunit.Abstractions;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

public sealed class QuorumTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_lost_quorum_loses_nothing_and_says_so()
    {
        await using var cluster = await EtcdCluster.StartAsync();
        await using var client = Connect(cluster.Endpoints, o => o.RequestTimeout = TimeSpan.FromSeconds(3));
        var prefix = NewPrefix();
        await using var watch = client.Watch(prefix, 1);
        var log = WatchLog.Follow(watch);
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(2));
        keeper.Put(prefix + "kept", Bytes("x"));
        await keeper.FlushAsync();
        await client.PutAsync(prefix + "before", Bytes("x"));
        await SurvivorKnows(cluster.Members[2], prefix + "before");

        await cluster.Members[0].KillAsync();
        await cluster.Members[1].KillAsync();

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.PutAsync(prefix + "during", Bytes("x")));
        output.WriteLine(error.Message);
        Assert.All(cluster.Members, m => Assert.Contains(m.Endpoint, error.Message, StringComparison.Ordinal));
        var stale = await client.ListAsync(prefix, EtcdReadConsistency.Serializable);
        Assert.Contains(stale.Items, i => i.Key == prefix + "before");
        await Eventually.IsTrue(() => keeper.Status is { State: not EtcdLeaseState.Held, LastError: EtcdException });

        await Task.WhenAll(cluster.StartMemberAsync(cluster.Members[0]), cluster.StartMemberAsync(cluster.Members[1]));
        await Eventually.IsTrue(() => keeper.Status is { State: EtcdLeaseState.Held, KeysStored: 1, LastError: null });
        await Eventually.IsTrue(async () =>
        {
            try
            {
                await client.PutAsync(prefix + "after", Bytes("x"));
                return true;
            }
            catch (EtcdException)
            {
                return false;
            }
        });
        await Eventually.IsTrue(async () => await client.GetAsync(prefix + "kept") is { } kept && kept.LeaseId == keeper.Status.LeaseId);
        await keeper.StopAsync();
        await client.PutAsync(prefix + "end", Bytes("x"));
        await log.AssertIsWholeHistoryAsync(client, prefix);
    }

    [Fact]
    public async Task A_stopped_member_delays_a_call_by_about_one_attempt_and_no_event_is_lost()
    {
        await using var cluster = await EtcdCluster.StartAsync();
        await using var client = Connect(cluster.Endpoints);
        var prefix = NewPrefix();
        await using var watch = client.Watch(prefix, 1);
        var log = WatchLog.Follow(watch);
        var first = await client.GetStatusAsync();
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));

        // The member in use is not the leader here, or an election would be measured.
        var used = cluster.Members.Single(m => first.Endpoint == new Uri(m.Endpoint));
        if (first.LeaderId == first.MemberId)
        {
            await MoveLeaderAsync(cluster, used);
        }

        await using var writer = Writer.Start(client, prefix);
        await Eventually.IsTrue(() => writer.Written > 20);
        writer.ResetLongestGap();
        await used.PauseAsync();
        var before = writer.Written;
        await Eventually.IsTrue(() => writer.Written > before + 50);
        output.WriteLine($"longest gap between two writes: {writer.LongestGap.TotalMilliseconds:0} ms");
        Assert.InRange(writer.LongestGap, TimeSpan.Zero, TimeSpan.FromSeconds(2.5));

        // The watch was on that member too: it is noticed by the watchdog and goes on elsewhere.
        await Eventually.IsTrue(() => log.Events.Select(e => Text(e.Record.Value)).Distinct().Count() >= before + 50);
        await used.ResumeAsync();
        await writer.StopAsync();
        await log.AssertIsWholeHistoryAsync(client, prefix);
    }

    // A majority has the key; the one that stays may be the one that has not yet.
    private static async Task SurvivorKnows(EtcdMember member, string key)
    {
        await using var client = Connect(member.Endpoint);
        await Eventually.IsTrue(async () => (await client.ListAsync(key, EtcdReadConsistency.Serializable)).Items.Count == 1);
    }

    private static async Task MoveLeaderAsync(EtcdCluster cluster, EtcdMember from)
    {
        foreach (var member in cluster.Members.Where(m => m != from))
        {
            await using var client = Connect(member.Endpoint);
            var status = await client.GetStatusAsync();
            await Etcdctl.RunAsync(from.Endpoint, "move-leader", status.MemberId.ToString("x", null));
            return;
        }
    }
}
