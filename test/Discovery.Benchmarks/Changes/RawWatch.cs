using Discovery.Benchmarks.Client;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.Benchmarks.Changes;

/// <summary>A watch by a bare stub: the soonest that anybody can know of a change.</summary>
internal sealed class RawWatch : IAsyncDisposable
{
    private readonly RawEtcd _etcd;
    private readonly AsyncDuplexStreamingCall<WatchRequest, WatchResponse> _call;
    private readonly Task _reading;

    private RawWatch(RawEtcd etcd, AsyncDuplexStreamingCall<WatchRequest, WatchResponse> call)
    {
        _etcd = etcd;
        _call = call;
        _reading = Task.Run(ReadAsync);
    }

    /// <summary>What was seen: <c>put KEY</c>, <c>draining KEY</c> and <c>delete KEY</c>.</summary>
    public Sightings Sightings { get; } = new();

    public static async Task<RawWatch> StartAsync(string endpoint, string prefix)
    {
        var etcd = new RawEtcd(endpoint);
        return new RawWatch(etcd, await etcd.WatchAsync(prefix));
    }

    public async ValueTask DisposeAsync()
    {
        _call.Dispose();
        await _reading;
        _etcd.Dispose();
    }

    private async Task ReadAsync()
    {
        try
        {
            while (await _call.ResponseStream.MoveNext(CancellationToken.None))
            {
                foreach (var change in _call.ResponseStream.Current.Events)
                {
                    var what = change.Type == Event.Types.EventType.Delete ? "delete" : change.Kv.Value.Span.IndexOf("draining"u8) >= 0 ? "draining" : "put";
                    Sightings.Saw($"{what} {change.Kv.Key.ToStringUtf8()}");
                }
            }
        }
        catch (RpcException)
        {
            // Disposed.
        }
    }
}
