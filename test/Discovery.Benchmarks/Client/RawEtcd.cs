using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace Discovery.Benchmarks.Client;

/// <summary>Bare stubs of etcd's services on a channel of Grpc.Net.Client: the reference, with nothing around it.</summary>
internal sealed class RawEtcd(string endpoint) : IDisposable
{
    private const int PutsPerTransaction = 100;

    private readonly GrpcChannel _channel = GrpcChannel.ForAddress(endpoint, new GrpcChannelOptions { MaxReceiveMessageSize = null });

    public KV.KVClient KeyValues => field ??= new KV.KVClient(_channel);

    /// <summary>Lists all keys with a prefix, in one request.</summary>
    public async Task<RangeResponse> ListAsync(string prefix)
        => await KeyValues.RangeAsync(new RangeRequest { Key = ByteString.CopyFromUtf8(prefix), RangeEnd = EndOf(prefix) });

    public async Task PutAsync(string key, byte[] value)
        => await KeyValues.PutAsync(new PutRequest { Key = ByteString.CopyFromUtf8(key), Value = ByteString.CopyFrom(value) });

    public async Task DeleteAllAsync(string prefix)
        => await KeyValues.DeleteRangeAsync(new DeleteRangeRequest { Key = ByteString.CopyFromUtf8(prefix), RangeEnd = EndOf(prefix) });

    /// <summary>Puts many keys, many in each transaction.</summary>
    public async Task PutAllAsync(IEnumerable<(string Key, byte[] Value)> records)
    {
        foreach (var part in records.Chunk(PutsPerTransaction))
        {
            var request = new TxnRequest();
            request.Success.Add(part.Select(static r => new RequestOp
            {
                RequestPut = new PutRequest { Key = ByteString.CopyFromUtf8(r.Key), Value = ByteString.CopyFrom(r.Value) },
            }));
            await KeyValues.TxnAsync(request);
        }
    }

    /// <summary>Opens a watch on a prefix.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="startRevision">From which revision on; 0 for from now on.</param>
    /// <returns>The stream, of which the answer to the creation was read.</returns>
    public async Task<AsyncDuplexStreamingCall<WatchRequest, WatchResponse>> WatchAsync(string prefix, long startRevision = 0)
    {
        var call = new Watch.WatchClient(_channel).Watch();
        await call.RequestStream.WriteAsync(new WatchRequest
        {
            CreateRequest = new WatchCreateRequest { Key = ByteString.CopyFromUtf8(prefix), RangeEnd = EndOf(prefix), StartRevision = startRevision },
        });
        await call.ResponseStream.MoveNext(CancellationToken.None);
        return call;
    }

    public void Dispose() => _channel.Dispose();

    private static ByteString EndOf(string prefix) => ByteString.CopyFromUtf8(prefix[..^1] + (char)(prefix[^1] + 1));
}
