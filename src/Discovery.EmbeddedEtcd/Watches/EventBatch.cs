using Discovery.EmbeddedEtcd.Store;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.Watches;

/// <summary>Collects events for one response: whole revisions, and a bounded number and size of them.</summary>
internal sealed class EventBatch(bool withPrevious)
{
    /// <summary>The most revisions in one response, as in etcd.</summary>
    private const int MostRevisions = 1000;

    /// <summary>The size at which a response takes no further revision: below the 4 MiB that many gRPC clients accept.</summary>
    private const long EnoughBytes = 1024 * 1024;

    private int _revisions;
    private long _size;

    public List<Event> Events { get; } = [];

    public long LastRevision { get; private set; }

    /// <returns><see langword="false"/> where the change belongs into the next response.</returns>
    public bool TryAdd(Change change)
    {
        if (change.Revision != LastRevision)
        {
            if (_revisions == MostRevisions || _size >= EnoughBytes)
            {
                return false;
            }

            _revisions++;
            LastRevision = change.Revision;
        }

        Events.Add(EventOf(change));
        _size += change.Size;
        return true;
    }

    private Event EventOf(Change change)
        => withPrevious && change.Previous is { } previous
            ? new Event { Type = change.Event.Type, Kv = change.Record, PrevKv = previous }
            : change.Event;
}
