using Discovery.Etcd;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>Reads a watch and remembers what it said.</summary>
internal sealed class WatchLog
{
    private readonly Lock _gate = new();
    private readonly List<EtcdWatchUpdate> _updates = [];

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
                lock (log._gate)
                {
                    log._updates.Add(update);
                }
            }
        });
        return log;
    }
}
