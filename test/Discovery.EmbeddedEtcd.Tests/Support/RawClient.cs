using Discovery.Etcd.Protocol;
using Grpc.Core;
using Grpc.Net.Client;

namespace Discovery.EmbeddedEtcd.Tests.Support;

/// <summary>etcd's API as it is on the wire, one call at a time, without retries.</summary>
internal sealed class RawClient : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly GrpcChannel _channel;

    public RawClient(string endpoint, SocketsHttpHandler? handler = null)
    {
        handler ??= new SocketsHttpHandler();
        handler.UseProxy = false;
        _channel = GrpcChannel.ForAddress(endpoint, new GrpcChannelOptions
        {
            // Not as the handler: the channel would then make connections itself, and wait longer after each failure.
            HttpClient = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan },
            DisposeHttpClient = true,
            MaxReceiveMessageSize = null,
            MaxSendMessageSize = null,
        });
        KeyValues = new KV.KVClient(_channel);
        Leases = new Lease.LeaseClient(_channel);
        Watches = new Watch.WatchClient(_channel);
        Cluster = new Cluster.ClusterClient(_channel);
        Maintenance = new Maintenance.MaintenanceClient(_channel);
        Auth = new Auth.AuthClient(_channel);
    }

    public KV.KVClient KeyValues { get; }

    public Lease.LeaseClient Leases { get; }

    public Watch.WatchClient Watches { get; }

    public Cluster.ClusterClient Cluster { get; }

    public Maintenance.MaintenanceClient Maintenance { get; }

    public Auth.AuthClient Auth { get; }

    public CallInvoker Invoker => _channel.CreateCallInvoker();

    /// <summary>Waits for an answer, with a limit.</summary>
    public static async Task<T> AnswerAsync<T>(AsyncUnaryCall<T> call)
    {
        using (call)
        {
            return await call.ResponseAsync.WaitAsync(Limit);
        }
    }

    public Task<RangeResponse> RangeAsync(RangeRequest request) => AnswerAsync(KeyValues.RangeAsync(request));

    public Task<RangeResponse> GetAsync(string key) => RangeAsync(new RangeRequest { Key = key.Bytes() });

    public Task<PutResponse> PutAsync(PutRequest request) => AnswerAsync(KeyValues.PutAsync(request));

    public Task<PutResponse> PutAsync(string key, string value, long lease = 0)
        => PutAsync(new PutRequest { Key = key.Bytes(), Value = value.Bytes(), Lease = lease });

    public Task<DeleteRangeResponse> DeleteAsync(DeleteRangeRequest request) => AnswerAsync(KeyValues.DeleteRangeAsync(request));

    public Task<DeleteRangeResponse> DeleteAsync(string key) => DeleteAsync(new DeleteRangeRequest { Key = key.Bytes() });

    public Task<TxnResponse> TxnAsync(TxnRequest request) => AnswerAsync(KeyValues.TxnAsync(request));

    public Task CompactAsync(long revision) => AnswerAsync(KeyValues.CompactAsync(new CompactionRequest { Revision = revision, Physical = true }));

    public Task<LeaseGrantResponse> GrantAsync(long ttl, long id = 0) => AnswerAsync(Leases.LeaseGrantAsync(new LeaseGrantRequest { TTL = ttl, ID = id }));

    public Task RevokeAsync(long id) => AnswerAsync(Leases.LeaseRevokeAsync(new LeaseRevokeRequest { ID = id }));

    public Task<LeaseTimeToLiveResponse> TimeToLiveAsync(long id, bool keys = false)
        => AnswerAsync(Leases.LeaseTimeToLiveAsync(new LeaseTimeToLiveRequest { ID = id, Keys = keys }));

    public Task<StatusResponse> StatusAsync() => AnswerAsync(Maintenance.StatusAsync(new StatusRequest()));

    public WatchCall Watch() => new(Watches.Watch());

    public KeepAliveCall KeepAlive() => new(Leases.LeaseKeepAlive());

    /// <summary>Makes a call that has to fail, and returns how.</summary>
    public static async Task<(StatusCode Code, string Detail)> FailureOfAsync(Task call)
    {
        var failure = await Assert.ThrowsAsync<RpcException>(() => call);
        return (failure.StatusCode, failure.Status.Detail);
    }

    public void Dispose() => _channel.Dispose();
}
