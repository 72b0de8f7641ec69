using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.Store;

/// <summary>
/// One write of one key: an entry of the key's history and of the log. The record is shared by all responses that show it and is
/// never modified; that of a deletion holds the key and the revision only, as etcd's delete events do.
/// </summary>
internal sealed class Change(KeyHistory history, KeyValue record, int index, bool isDelete)
{
    private Event? _event;

    public KeyHistory History => history;

    public KeyValue Record => record;

    /// <summary>How many changes its transaction made before it.</summary>
    public int Index => index;

    public bool IsDelete => isDelete;

    /// <summary>The bytes of key and value.</summary>
    public long Size => record.Key.Length + record.Value.Length;

    public long Revision => record.ModRevision;

    /// <summary>The key's record before this revision, or <see langword="null"/> where it did not exist or is forgotten.</summary>
    public KeyValue? Previous => !isDelete && record.CreateRevision == Revision ? null : history.At(Revision - 1);

    /// <summary>The change as watchers see it, without the previous record; one object for all of them.</summary>
    public Event Event => _event ??= new Event { Type = isDelete ? Event.Types.EventType.Delete : Event.Types.EventType.Put, Kv = record };
}
