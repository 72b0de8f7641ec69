using Discovery.Etcd;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>The errors of etcd, with its codes and texts: clients compare both.</summary>
internal static class EtcdErrors
{
    public static RpcException EmptyKey() => new(StatusCode.InvalidArgument, "etcdserver: key is not provided");

    public static RpcException KeyNotFound() => new(StatusCode.InvalidArgument, "etcdserver: key not found");

    public static RpcException ValueProvided() => new(StatusCode.InvalidArgument, "etcdserver: value is provided");

    public static RpcException LeaseProvided() => new(StatusCode.InvalidArgument, "etcdserver: lease is provided");

    public static RpcException TooManyOperations() => new(StatusCode.InvalidArgument, "etcdserver: too many operations in txn request");

    public static RpcException DuplicateKey() => new(StatusCode.InvalidArgument, "etcdserver: duplicate key given in txn request");

    public static RpcException RequestTooLarge() => new(StatusCode.InvalidArgument, "etcdserver: request is too large");

    public static RpcException Compacted() => new(StatusCode.OutOfRange, "etcdserver: mvcc: required revision has been compacted");

    public static RpcException FutureRevision() => new(StatusCode.OutOfRange, "etcdserver: mvcc: required revision is a future revision");

    public static RpcException LeaseNotFound() => new(StatusCode.NotFound, "etcdserver: requested lease not found");

    public static RpcException LeaseExists() => new(StatusCode.FailedPrecondition, "etcdserver: lease already exists");

    public static RpcException LeaseTtlTooLarge() => new(StatusCode.OutOfRange, "etcdserver: too large lease TTL");

    public static RpcException AuthNotEnabled() => new(StatusCode.FailedPrecondition, "etcdserver: authentication is not enabled");

    public static RpcException Stopped() => new(StatusCode.Unavailable, "etcdserver: server stopped");

    public static RpcException NotSupported(string method)
        => new(StatusCode.Unimplemented, $"{method} is not supported by the embedded etcd");
}
