using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Tests.Support;

/// <summary>The methods of etcd's API that are called one at a time.</summary>
internal static class EtcdMethods
{
    public static readonly Method<RangeRequest, RangeResponse> Range = Create("KV", "Range", RangeRequest.Parser, RangeResponse.Parser);
    public static readonly Method<PutRequest, PutResponse> Put = Create("KV", "Put", PutRequest.Parser, PutResponse.Parser);
    public static readonly Method<DeleteRangeRequest, DeleteRangeResponse> DeleteRange = Create("KV", "DeleteRange", DeleteRangeRequest.Parser, DeleteRangeResponse.Parser);
    public static readonly Method<TxnRequest, TxnResponse> Txn = Create("KV", "Txn", TxnRequest.Parser, TxnResponse.Parser);
    public static readonly Method<CompactionRequest, CompactionResponse> Compact = Create("KV", "Compact", CompactionRequest.Parser, CompactionResponse.Parser);
    public static readonly Method<LeaseGrantRequest, LeaseGrantResponse> LeaseGrant = Create("Lease", "LeaseGrant", LeaseGrantRequest.Parser, LeaseGrantResponse.Parser);
    public static readonly Method<LeaseRevokeRequest, LeaseRevokeResponse> LeaseRevoke = Create("Lease", "LeaseRevoke", LeaseRevokeRequest.Parser, LeaseRevokeResponse.Parser);
    public static readonly Method<LeaseTimeToLiveRequest, LeaseTimeToLiveResponse> LeaseTimeToLive = Create("Lease", "LeaseTimeToLive", LeaseTimeToLiveRequest.Parser, LeaseTimeToLiveResponse.Parser);
    public static readonly Method<LeaseLeasesRequest, LeaseLeasesResponse> LeaseLeases = Create("Lease", "LeaseLeases", LeaseLeasesRequest.Parser, LeaseLeasesResponse.Parser);
    public static readonly Method<MemberListRequest, MemberListResponse> MemberList = Create("Cluster", "MemberList", MemberListRequest.Parser, MemberListResponse.Parser);
    public static readonly Method<StatusRequest, StatusResponse> Status = Create("Maintenance", "Status", StatusRequest.Parser, StatusResponse.Parser);
    public static readonly Method<AuthenticateRequest, AuthenticateResponse> Authenticate = Create("Auth", "Authenticate", AuthenticateRequest.Parser, AuthenticateResponse.Parser);

    public static Method<TRequest, TResponse> Create<TRequest, TResponse>(
        string service, string name, MessageParser<TRequest> requests, MessageParser<TResponse> responses)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse>
        => new(
            MethodType.Unary, "etcdserverpb." + service, name,
            Marshallers.Create(m => m.ToByteArray(), requests.ParseFrom),
            Marshallers.Create(m => m.ToByteArray(), responses.ParseFrom));
}
