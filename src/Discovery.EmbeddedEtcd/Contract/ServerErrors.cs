using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Contract;

/// <summary>The errors of etcd, with its codes and texts: clients compare both.</summary>
internal static class ServerErrors
{
    /// <summary>Why etcd cancels a watch, and what a read of the forgotten past fails with.</summary>
    public const string CompactedMessage = "etcdserver: mvcc: required revision has been compacted";

    public static RpcException EmptyKey() => Error(StatusCode.InvalidArgument, "etcdserver: key is not provided");

    public static RpcException KeyNotFound() => Error(StatusCode.InvalidArgument, "etcdserver: key not found");

    public static RpcException ValueProvided() => Error(StatusCode.InvalidArgument, "etcdserver: value is provided");

    public static RpcException LeaseProvided() => Error(StatusCode.InvalidArgument, "etcdserver: lease is provided");

    public static RpcException TooManyOperations() => Error(StatusCode.InvalidArgument, "etcdserver: too many operations in txn request");

    public static RpcException DuplicateKey() => Error(StatusCode.InvalidArgument, "etcdserver: duplicate key given in txn request");

    public static RpcException RequestTooLarge() => Error(StatusCode.InvalidArgument, "etcdserver: request is too large");

    /// <summary>The words of etcd's gRPC library, which looks at the size before etcd does.</summary>
    public static RpcException MessageTooLarge(int size)
        => Error(StatusCode.ResourceExhausted, $"grpc: received message larger than max ({size} vs. {RequestLimits.MaxMessageSize})");

    public static RpcException Compacted() => Error(StatusCode.OutOfRange, CompactedMessage);

    public static RpcException FutureRevision() => Error(StatusCode.OutOfRange, "etcdserver: mvcc: required revision is a future revision");

    public static RpcException LeaseNotFound() => Error(StatusCode.NotFound, "etcdserver: requested lease not found");

    public static RpcException LeaseExists() => Error(StatusCode.FailedPrecondition, "etcdserver: lease already exists");

    public static RpcException LeaseTtlTooLarge() => Error(StatusCode.OutOfRange, "etcdserver: too large lease TTL");

    /// <summary>The words of etcd's lock service, without a code of its own.</summary>
    public static RpcException SessionExpired() => Error(StatusCode.Unknown, "mutex: session is expired");

    public static RpcException AuthNotEnabled() => Error(StatusCode.FailedPrecondition, "etcdserver: authentication is not enabled");

    public static RpcException Stopped() => Error(StatusCode.Unavailable, "etcdserver: server stopped");

    public static RpcException NotSupported(string method) => Error(StatusCode.Unimplemented, $"{method} is not supported by the embedded etcd");

    public static RpcException Defect(Exception exception)
        => new(new Status(StatusCode.Internal, $"the embedded etcd failed: {exception.Message}", exception));

    private static RpcException Error(StatusCode code, string message) => new(new Status(code, message));
}
