using Discovery.Etcd;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

public sealed class LargeListTests(OneNode node) : IClassFixture<OneNode>
{
    private const int Keys = 20_000;

    [Fact]
    public async Task Twenty_thousand_keys_are_listed_at_one_revision_while_they_change()
    {
        await using var client = node.Connect();
        var prefix = NewPrefix();
        await FillAsync(client, prefix);
        using var stop = new CancellationTokenSource();

        // Each transaction changes the first and the last key together: a list that shows different values is torn.
        var swaps = 0;
        var writing = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                var value = Bytes($"{++swaps}");
                await client.ExecuteAsync(new EtcdTransaction
                {
                    Then = [EtcdOperation.Put(Key(prefix, 0), value), EtcdOperation.Put(Key(prefix, Keys - 1), value)],
                });
            }
        });

        await Eventually.IsTrue(() => Volatile.Read(ref swaps) > 3);
        for (var i = 0; i < 5; i++)
        {
            var before = Volatile.Read(ref swaps);
            var listing = await client.ListAsync(prefix);
            Assert.True(Volatile.Read(ref swaps) > before);
            Assert.Equal(Enumerable.Range(0, Keys).Select(n => Key(prefix, n)), listing.Items.Select(item => item.Key));
            Assert.Equal(Text(listing.Items[0].Value), Text(listing.Items[^1].Value));
            Assert.True(listing.Items.Max(item => item.ModRevision) <= listing.Revision);
        }

        await stop.CancelAsync();
        await writing;
    }

    private static string Key(string prefix, int n) => $"{prefix}{n:00000}";

    private static async Task FillAsync(EtcdClient client, string prefix)
    {
        const int Batch = 100;
        await Parallel.ForEachAsync(Enumerable.Range(0, Keys / Batch), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (batch, token) =>
            await client.ExecuteAsync(
                new EtcdTransaction { Then = [.. Enumerable.Range(batch * Batch, Batch).Select(n => EtcdOperation.Put(Key(prefix, n), Bytes("0")))] }, token));
    }
}
