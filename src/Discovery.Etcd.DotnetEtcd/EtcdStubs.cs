using Etcdserverpb;
using Grpc.Core;
using V3Electionpb;
using dotnet_etcd.interfaces;

namespace Discovery.Etcd.DotnetEtcd;

/// <summary>dotnet-etcd's stubs of all etcd services, over one call invoker.</summary>
internal sealed class EtcdStubs(CallInvoker invoker) : IConnection
{
    public KV.KVClient KVClient { get; } = new(invoker);

    public Watch.WatchClient WatchClient { get; } = new(invoker);

    public Lease.LeaseClient LeaseClient { get; } = new(invoker);

    public V3Lockpb.Lock.LockClient LockClient { get; } = new(invoker);

    public Cluster.ClusterClient ClusterClient { get; } = new(invoker);

    public Maintenance.MaintenanceClient MaintenanceClient { get; } = new(invoker);

    public Etcdserverpb.Auth.AuthClient AuthClient { get; } = new(invoker);

    public Election.ElectionClient ElectionClient { get; } = new(invoker);
}
