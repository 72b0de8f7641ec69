using Discovery.EmbeddedEtcd.Store;
using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Watches;

/// <summary>Finds the watchers of a key: by the key for those of one key, and once per distinct range for the others.</summary>
internal sealed class WatcherTable
{
    private readonly Dictionary<ByteString, HashSet<Watcher>> _byKey = [];
    private readonly Dictionary<KeyInterval, HashSet<Watcher>> _byRange = [];

    public int Count { get; private set; }

    public void Add(Watcher watcher)
    {
        if (watcher.Range.IsSingle)
        {
            Add(_byKey, watcher.Range.Key, watcher);
        }
        else
        {
            Add(_byRange, watcher.Range, watcher);
        }
    }

    public void Remove(Watcher watcher)
    {
        if (watcher.Range.IsSingle)
        {
            Remove(_byKey, watcher.Range.Key, watcher);
        }
        else
        {
            Remove(_byRange, watcher.Range, watcher);
        }
    }

    public void Notify(List<Change> changes)
    {
        foreach (var change in changes)
        {
            if (_byKey.TryGetValue(change.Record.Key, out var watchers))
            {
                Offer(watchers, change);
            }

            foreach (var (range, rangeWatchers) in _byRange)
            {
                if (range.Contains(change.Record.Key))
                {
                    Offer(rangeWatchers, change);
                }
            }
        }
    }

    private static void Offer(HashSet<Watcher> watchers, Change change)
    {
        foreach (var watcher in watchers)
        {
            watcher.Offer(change);
        }
    }

    private void Add<TKey>(Dictionary<TKey, HashSet<Watcher>> table, TKey key, Watcher watcher)
        where TKey : notnull
    {
        if (!table.TryGetValue(key, out var watchers))
        {
            table.Add(key, watchers = []);
        }

        watchers.Add(watcher);
        Count++;
    }

    private void Remove<TKey>(Dictionary<TKey, HashSet<Watcher>> table, TKey key, Watcher watcher)
        where TKey : notnull
    {
        if (table.TryGetValue(key, out var watchers) && watchers.Remove(watcher))
        {
            Count--;
            if (watchers.Count == 0)
            {
                table.Remove(key);
            }
        }
    }
}
