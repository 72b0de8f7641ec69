using System.Collections.Concurrent;
using Discovery.Etcd;
using Xunit.Abstractions;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>A key that changes hands: its former owner never takes it back.</summary>
public sealed class KeeperTakeoverTests(OneNode node, ITestOutputHelper output) : IClassFixture<OneNode>
{
    private const int Keys = 20;
    private const int Rounds = 50;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_key_put_a_second_time_is_never_stolen_back_from_its_successor()
    {
        await using var client = node.Connect();
        // A successor whose put a slow machine makes twice would have another revision than the one that the keeper met first.
        await using var other = Connect(node.Etcd.Endpoint, static o => o.AttemptTimeout = o.RequestTimeout = Limit);
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(60));
        var conflicts = new ConcurrentDictionary<string, long>();
        keeper.KeyConflict += record => conflicts[record.Key] = record.ModRevision;
        var prefix = NewPrefix();

        var stolen = await Task.WhenAll(Enumerable.Range(0, Keys).Select(i => TakeOverAsync($"{prefix}{i}/")));

        output.WriteLine($"stolen back: {stolen.Sum()} of {Keys * Rounds} takeovers");
        Assert.Equal(0, stolen.Sum());

        async Task<int> TakeOverAsync(string key)
        {
            var count = 0;
            await using var watch = other.Watch(key, 1);
            await using var updates = watch.ReadAllAsync().GetAsyncEnumerator();
            for (var round = 0; round < Rounds; round++)
            {
                keeper.Put(key, Bytes($"first {round}"));
                await keeper.FlushAsync().WaitAsync(Limit);
                keeper.Put(key, Bytes($"second {round}"));

                // The successor comes right after the second put, while its answer and its event are still on their way.
                await StandsAsync(updates, $"second {round}").WaitAsync(Limit);
                var revision = await other.PutAsync(key, Bytes($"successor {round}"));

                await Eventually.IsTrue(async () => conflicts.GetValueOrDefault(key) == revision || (await other.GetAsync(key))!.ModRevision != revision);
                await keeper.FlushAsync().WaitAsync(Limit);
                count += (await other.GetAsync(key))!.ModRevision == revision ? 0 : 1;
                await other.DeleteAsync(key);
            }

            return count;
        }
    }

    private static async Task StandsAsync(IAsyncEnumerator<EtcdWatchUpdate> updates, string value)
    {
        while (await updates.MoveNextAsync() && !updates.Current.Events.Any(e => Text(e.Record.Value) == value))
        {
            // Something from before.
        }
    }
}
