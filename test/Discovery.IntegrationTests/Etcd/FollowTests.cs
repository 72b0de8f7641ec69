using System.Globalization;
using Discovery.Etcd;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>Following a prefix on a real etcd that compacts, is killed, and forgets.</summary>
public sealed class FollowTests
{
    [Fact]
    public async Task States_are_whole_and_the_last_one_arrives_through_compactions_kills_and_a_wipe()
    {
        await using var etcd = await EtcdProcess.StartAsync();
        await using var writer = Connect(etcd.Endpoint, o => o.RequestTimeout = TimeSpan.FromSeconds(20));
        await using var client = Connect(etcd.Endpoint);
        var prefix = NewPrefix();
        var states = new List<EtcdPrefixSnapshot>();
        using var stop = new CancellationTokenSource();
        var reading = Task.Run(async () =>
        {
            await foreach (var state in client.FollowAsync(prefix, cancellationToken: stop.Token))
            {
                lock (states)
                {
                    states.Add(state);
                }
            }
        });

        for (var i = 1; i <= 300; i++)
        {
            var revision = await PutPairAsync(writer, prefix, i);
            if (i % 100 == 0)
            {
                await Etcdctl.RunAsync(etcd.Endpoint, "compact", $"{revision}");
                await etcd.KillAsync();
                await etcd.RestartAsync();
            }
        }

        await Eventually.IsTrue(() => Latest() == "300 300");
        await etcd.KillAsync();
        etcd.Member.Wipe();
        await etcd.RestartAsync();
        await Eventually.IsTrue(() => Latest() == "");
        await PutPairAsync(writer, prefix, 1);
        await Eventually.IsTrue(() => Latest() == "1 1");

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        Assert.All(states, s => Assert.True(s.Items.Count == 0 || Text(s.Items[prefix + "a"].Value) == Text(s.Items[prefix + "b"].Value)));
        Assert.True(states.Count > 50, $"Only {states.Count} states were seen.");

        string Latest()
        {
            lock (states)
            {
                return states is [.., var last] ? string.Join(' ', last.Items.Values.Select(r => Text(r.Value))) : "none";
            }
        }
    }

    private static async Task<long> PutPairAsync(EtcdClient client, string prefix, int value)
    {
        var bytes = Bytes(value.ToString(CultureInfo.InvariantCulture));
        return (await client.ExecuteAsync(new EtcdTransaction { Then = { EtcdOperation.Put(prefix + "a", bytes), EtcdOperation.Put(prefix + "b", bytes) } })).Revision;
    }
}
