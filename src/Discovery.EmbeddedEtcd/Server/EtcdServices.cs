using Discovery.EmbeddedEtcd.Administration;
using Discovery.EmbeddedEtcd.KeyValues;
using Discovery.EmbeddedEtcd.Leases;
using Discovery.EmbeddedEtcd.Locks;
using Discovery.EmbeddedEtcd.Watches;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>The services that the server answers.</summary>
internal static class EtcdServices
{
    /// <param name="engine">The state that all of them share.</param>
    /// <param name="endpoint">The URL for clients.</param>
    /// <param name="progressInterval">How often idle watches report the revision.</param>
    /// <param name="stopping">Ends streams.</param>
    public static IReadOnlyList<ServerServiceDefinition> Bind(EtcdEngine engine, string endpoint, TimeSpan progressInterval, CancellationToken stopping) =>
    [
        KV.BindService(new KeyValueService(engine)),
        Lease.BindService(new LeaseService(engine, stopping)),
        Watch.BindService(new WatchService(engine, progressInterval, stopping)),
        Cluster.BindService(new ClusterService(engine, endpoint)),
        Maintenance.BindService(new MaintenanceService(engine)),
        Auth.BindService(new AuthService(engine)),
        Protocol.Lock.BindService(new LockService(engine, stopping)),
    ];
}
