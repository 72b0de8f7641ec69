using Discovery.Etcd.Protocol;

namespace Discovery.Etcd.Transport;

/// <summary>The methods of etcd's v3 API that this library calls.</summary>
internal static class EtcdMethods
{
    public static readonly EtcdMethod<RangeRequest, RangeResponse> Range = new("/etcdserverpb.KV/Range", RangeResponse.Parser);
    public static readonly EtcdMethod<PutRequest, PutResponse> Put = new("/etcdserverpb.KV/Put", PutResponse.Parser);
    public static readonly EtcdMethod<DeleteRangeRequest, DeleteRangeResponse> DeleteRange = new("/etcdserverpb.KV/DeleteRange", DeleteRangeResponse.Parser);
    public static readonly EtcdMethod<TxnRequest, TxnResponse> Txn = new("/etcdserverpb.KV/Txn", TxnResponse.Parser);
    public static readonly EtcdMethod<CompactionRequest, CompactionResponse> Compact = new("/etcdserverpb.KV/Compact", CompactionResponse.Parser);

    public static readonly EtcdMethod<LeaseGrantRequest, LeaseGrantResponse> LeaseGrant = new("/etcdserverpb.Lease/LeaseGrant", LeaseGrantResponse.Parser);
    public static readonly EtcdMethod<LeaseRevokeRequest, LeaseRevokeResponse> LeaseRevoke = new("/etcdserverpb.Lease/LeaseRevoke", LeaseRevokeResponse.Parser);
    public static readonly EtcdMethod<LeaseKeepAliveRequest, LeaseKeepAliveResponse> LeaseKeepAlive = new("/etcdserverpb.Lease/LeaseKeepAlive", LeaseKeepAliveResponse.Parser);

    public static readonly EtcdMethod<WatchRequest, WatchResponse> Watch = new("/etcdserverpb.Watch/Watch", WatchResponse.Parser);

    public static readonly EtcdMethod<StatusRequest, StatusResponse> Status = new("/etcdserverpb.Maintenance/Status", StatusResponse.Parser);

    public static readonly EtcdMethod<AuthenticateRequest, AuthenticateResponse> Authenticate = new("/etcdserverpb.Auth/Authenticate", AuthenticateResponse.Parser);
}
