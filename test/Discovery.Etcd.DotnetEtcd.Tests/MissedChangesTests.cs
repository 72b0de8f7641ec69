using Discovery.Etcd.DotnetEtcd.Watching;
using Etcdserverpb;
using Google.Protobuf;
using Grpc.Core;
using Mvccpb;

namespace Discovery.Etcd.DotnetEtcd.Tests;

public sealed class MissedChangesTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Values_too_large_for_one_answer_are_read_in_smaller_pieces(bool isSlow)
    {
        var status = new Status(isSlow ? StatusCode.DeadlineExceeded : StatusCode.ResourceExhausted, "too much");
        var etcd = new LargeValues(isSlow ? Incomplete(status) : new RpcException(status));
        var watch = new WatchCreateRequest { Key = ByteString.CopyFromUtf8("a"), RangeEnd = ByteString.CopyFromUtf8("b") };

        var (puts, revision, _) = await new MissedChanges(new KV.KVClient(etcd), watch).ReadAsync(since: 3, compactRevision: 0, CancellationToken.None);

        Assert.Equal(["a0", "a1", "a2", "a3", "a4"], puts.Select(static p => p.Kv.Key.ToStringUtf8()));
        Assert.Equal(9, revision);
        Assert.Equal([1000, 62, 3, 3], etcd.Limits);
    }

    [Fact]
    public async Task Silence_is_no_reason_for_smaller_pieces()
    {
        var etcd = new LargeValues(new EtcdException("silence", new Status(StatusCode.DeadlineExceeded, "silence"), "Range", []));

        await Assert.ThrowsAsync<EtcdException>(
            () => new MissedChanges(new KV.KVClient(etcd), new WatchCreateRequest()).ReadAsync(since: 3, compactRevision: 0, CancellationToken.None));

        Assert.Equal([1000], etcd.Limits);
    }

    private static EtcdException Incomplete(Status status)
    {
        var error = new EtcdException("too much", status, "Range", []);

        // Only the client sets it.
        typeof(EtcdException).GetProperty(nameof(EtcdException.Reason))!.SetValue(error, EtcdErrorReason.AnswerIncomplete);
        return error;
    }

    /// <summary>An etcd with five keys, of which three fit into an answer.</summary>
    private sealed class LargeValues(RpcException tooMuch) : CallInvoker
    {
        public List<long> Limits { get; } = [];

        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
            new((Task<TResponse>)(object)ReadAsync((RangeRequest)(object)request), Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [], () => { });

        public override TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
            throw new NotSupportedException();

        public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

        public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();

        public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();

        private Task<RangeResponse> ReadAsync(RangeRequest request)
        {
            Limits.Add(request.Limit);
            var left = Enumerable.Range(0, 5)
                .Select(static i => new KeyValue { Key = ByteString.CopyFromUtf8($"a{i}"), ModRevision = 3 + i })
                .Where(kv => string.CompareOrdinal(kv.Key.ToStringUtf8(), request.Key.ToStringUtf8()) >= 0)
                .ToList();
            return request.Limit > 3
                ? Task.FromException<RangeResponse>(tooMuch)
                : Task.FromResult(new RangeResponse
                {
                    Header = new ResponseHeader { Revision = 9, ClusterId = 1 }, Kvs = { left.Take((int)request.Limit) }, More = left.Count > request.Limit,
                });
        }
    }
}
