namespace Discovery.Etcd.Protocol;

/// <summary>A response with etcd's header, which names the cluster and the raft term.</summary>
internal interface IHeadedResponse
{
    /// <summary>The header; behind some proxies there is none.</summary>
    ResponseHeader? Header { get; }
}

internal sealed partial class RangeResponse : IHeadedResponse;

internal sealed partial class PutResponse : IHeadedResponse;

internal sealed partial class DeleteRangeResponse : IHeadedResponse;

internal sealed partial class TxnResponse : IHeadedResponse;

internal sealed partial class LeaseGrantResponse : IHeadedResponse;

internal sealed partial class LeaseRevokeResponse : IHeadedResponse;

internal sealed partial class LeaseKeepAliveResponse : IHeadedResponse;

internal sealed partial class StatusResponse : IHeadedResponse;

internal sealed partial class AuthenticateResponse : IHeadedResponse;
