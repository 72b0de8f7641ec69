using System.Diagnostics;
using Discovery.Etcd;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>Reads a watch and remembers what it said.</summary>
internal sealed class WatchLog
{
    private readonly Lock _gate = new();
    private readonly List<EtcdWatchUpdate> _updates = [];

    private long _changedAt;
    private long _gap;

    /// <summary>The longest time between two changes.</summary>
    public TimeSpan LongestGap => Stopwatch.GetElapsedTime(0, Interlocked.Read(ref _gap));

    public IReadOnlyList<EtcdWatchUpdate> Updates
    {
        get
        {
            lock (_gate)
            {
                return [.. _updates];
            }
        }
    }

    public IReadOnlyList<EtcdWatchUpdateKind> Kinds => [.. Updates.Select(u => u.Kind)];

    public IReadOnlyList<EtcdWatchUpdate> Changes => [.. Updates.Where(u => u.Kind == EtcdWatchUpdateKind.Changed)];

    public IReadOnlyList<EtcdWatchEvent> Events => [.. Changes.SelectMany(u => u.Events)];

    public static WatchLog Follow(EtcdWatch watch)
    {
        var log = new WatchLog();
        _ = Task.Run(async () =>
        {
            await foreach (var update in watch.ReadAllAsync())
            {
                log.Add(update);
            }
        });
        return log;
    }

    public void ResetLongestGap()
    {
        lock (_gate)
        {
            _gap = 0;
        }
    }

    /// <summary>
    /// Asserts that the log holds the same events in the same order as a watch that reads the whole history at once, undisturbed: none
    /// lost, none twice, none out of order.
    /// </summary>
    public async Task AssertIsWholeHistoryAsync(EtcdClient client, string prefix)
    {
        var last = (await client.ListAsync(prefix)).Items.Max(i => i.ModRevision);
        await using var undisturbed = client.Watch(prefix, 1);
        var history = Follow(undisturbed);
        await Eventually.IsTrue(() => history.Changes is [.., var update] && update.Revision >= last);
        await Eventually.IsTrue(() => Changes is [.., var update] && update.Revision >= last);
        Assert.Equal(history.Events.Select(Describe), Events.Select(Describe));
    }

    private static string Describe(EtcdWatchEvent e) =>
        $"{e.Record.ModRevision} {(e.Deleted ? "delete" : "put")} {e.Record.Key} {Clients.Text(e.Record.Value)}";

    private void Add(EtcdWatchUpdate update)
    {
        lock (_gate)
        {
            _updates.Add(update);
            if (update.Kind == EtcdWatchUpdateKind.Changed)
            {
                var now = Stopwatch.GetTimestamp();
                _gap = _changedAt == 0 ? 0 : Math.Max(_gap, now - _changedAt);
                _changedAt = now;
            }
        }
    }
}
