using Discovery.Etcd;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>The errors of etcd, with its codes and texts: clients compare both.</summary>
internal static class EtcdErrors
{
    public static RpcException EmptyKey() => new(EtcdStatusCode.InvalidArgument, "etcdserver: key is not provided");

    public static RpcException KeyNotFound() => new(EtcdStatusCode.InvalidArgument, "etcdserver: key not found");

    public static RpcException ValueProvided() => new(EtcdStatusCode.InvalidArgument, "etcdserver: value is provided");

    public static RpcException LeaseProvided() => new(EtcdStatusCode.InvalidArgument, "etcdserver: lease is provided");

    public static RpcException TooManyOperations() => new(EtcdStatusCode.InvalidArgument, "etcdserver: too many operations in txn request");

    public static RpcException DuplicateKey() => new(EtcdStatusCode.InvalidArgument, "etcdserver: duplicate key given in txn request");

    public static RpcException RequestTooLarge() => new(EtcdStatusCode.InvalidArgument, "etcdserver: request is too large");

    public static RpcException Compacted() => new(EtcdStatusCode.OutOfRange, "etcdserver: mvcc: required revision has been compacted");

    public static RpcException FutureRevision() => new(EtcdStatusCode.OutOfRange, "etcdserver: mvcc: required revision is a future revision");

    public static RpcException LeaseNotFound() => new(EtcdStatusCode.NotFound, "etcdserver: requested lease not found");

    public static RpcException LeaseExists() => new(EtcdStatusCode.FailedPrecondition, "etcdserver: lease already exists");

    public static RpcException LeaseTtlTooLarge() => new(EtcdStatusCode.OutOfRange, "etcdserver: too large lease TTL");

    public static RpcException AuthNotEnabled() => new(EtcdStatusCode.FailedPrecondition, "etcdserver: authentication is not enabled");

    public static RpcException Stopped() => new(EtcdStatusCode.Unavailable, "etcdserver: server stopped");

    public static RpcException NotSupported(string method)
        => new(EtcdStatusCode.Unimplemented, $"{method} is not supported by the embedded etcd");
}
