using Etcdserverpb;
using Google.Protobuf;
using dotnet_etcd;

namespace Discovery.Etcd.DotnetEtcd.Watching;

/// <summary>Watches as dotnet-etcd's users ask for them.</summary>
internal static class WatchRequests
{
    /// <summary>One key.</summary>
    public static WatchRequest OfKey(string key, long startRevision = 0) => Create(new WatchCreateRequest
    {
        Key = ByteString.CopyFromUtf8(key),
        StartRevision = startRevision,
    });

    /// <summary>All keys with a prefix; all keys for the empty one.</summary>
    public static WatchRequest OfPrefix(string prefix, long startRevision = 0) => Create(new WatchCreateRequest
    {
        Key = dotnet_etcd.EtcdClient.GetStringByteForRangeRequests(prefix),
        RangeEnd = dotnet_etcd.EtcdClient.GetRangeEnd(ByteString.CopyFromUtf8(prefix)),
        StartRevision = startRevision,
    });

    /// <summary>The callback for responses that calls another one for each event.</summary>
    public static Action<WatchResponse> ForEachEvent(Action<WatchEvent> action)
    {
        ArgumentNullException.ThrowIfNull(action);
        return response =>
        {
            foreach (var change in response.Events)
            {
                action(new WatchEvent { Key = change.Kv.Key.ToStringUtf8(), Value = change.Kv.Value.ToStringUtf8(), Type = change.Type });
            }
        };
    }

    /// <summary>The same watch in our terms.</summary>
    public static EtcdWatchOptions ToOptions(WatchCreateRequest request) => new()
    {
        Key = request.Key.Memory,
        RangeEnd = request.RangeEnd.Memory,
        StartRevision = request.StartRevision,
        WithPrevious = request.PrevKv,
        SkipPuts = request.Filters.Contains(WatchCreateRequest.Types.FilterType.Noput),
        SkipDeletions = request.Filters.Contains(WatchCreateRequest.Types.FilterType.Nodelete),
    };

    private static WatchRequest Create(WatchCreateRequest request)
    {
        request.ProgressNotify = true;
        request.PrevKv = true;
        return new WatchRequest { CreateRequest = request };
    }
}
