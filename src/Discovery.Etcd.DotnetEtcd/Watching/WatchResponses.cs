using Etcdserverpb;
using Google.Protobuf;
using Mvccpb;

namespace Discovery.Etcd.DotnetEtcd.Watching;

/// <summary>The updates of a watch as etcd's own messages. Their headers hold the cluster and the revision.</summary>
internal static class WatchResponses
{
    public static WatchResponse Created(long watchId, EtcdWatchUpdate update) => Of(watchId, update, static r => r.Created = true);

    public static WatchResponse Progress(long watchId, EtcdWatchUpdate update) => Of(watchId, update, static _ => { });

    public static WatchResponse Changed(long watchId, EtcdWatchUpdate update) =>
        Of(watchId, update, r => r.Events.AddRange(update.Events.Select(EventOf)));

    /// <summary>etcd does not deliver for now, and why.</summary>
    public static WatchResponse Canceled(long watchId, EtcdWatchUpdate update) => Of(watchId, update, r =>
    {
        r.Canceled = true;
        r.CompactRevision = update.CompactRevision;
        r.CancelReason = update.Error?.Status.Detail ?? "";
    });

    private static WatchResponse Of(long watchId, EtcdWatchUpdate update, Action<WatchResponse> fill)
    {
        var response = new WatchResponse
        {
            WatchId = watchId,
            Header = new ResponseHeader { ClusterId = update.ClusterId, Revision = update.Revision },
        };
        fill(response);
        return response;
    }

    private static Event EventOf(EtcdWatchEvent change)
    {
        var result = new Event
        {
            Type = change.Deleted ? Event.Types.EventType.Delete : Event.Types.EventType.Put,
            Kv = KeyValueOf(change.Record),
        };
        if (change.Previous is { } previous)
        {
            result.PrevKv = KeyValueOf(previous);
        }

        return result;
    }

    private static KeyValue KeyValueOf(EtcdKeyValue record) => new()
    {
        Key = UnsafeByteOperations.UnsafeWrap(record.KeyBytes),
        Value = UnsafeByteOperations.UnsafeWrap(record.Value),
        CreateRevision = record.CreateRevision,
        ModRevision = record.ModRevision,
        Version = record.Version,
        Lease = record.LeaseId,
    };
}
