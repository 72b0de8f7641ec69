using Discovery.EmbeddedEtcd.Contract;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Administration;

/// <summary>etcdserverpb.Maintenance, as far as an etcd without a disk has it.</summary>
internal sealed class MaintenanceService(EtcdEngine engine) : Maintenance.MaintenanceBase
{
    /// <summary>The release whose behaviour this follows.</summary>
    private const string Version = "3.5.30+embedded";

    /// <summary>Without a disk that could be full or corrupt there is never an alarm, so there is none to switch off either.</summary>
    public override Task<AlarmResponse> Alarm(AlarmRequest request, ServerCallContext context)
    {
        if (request.Action == AlarmRequest.Types.AlarmAction.Activate && request.Alarm != AlarmType.None)
        {
            throw ServerErrors.NotSupported("Activating an alarm");
        }

        lock (engine.Gate)
        {
            return Task.FromResult(new AlarmResponse { Header = engine.Header() });
        }
    }

    public override Task<DefragmentResponse> Defragment(DefragmentRequest request, ServerCallContext context)
        => Task.FromResult(new DefragmentResponse());

    public override Task<HashKVResponse> HashKV(HashKVRequest request, ServerCallContext context)
    {
        lock (engine.Gate)
        {
            var hash = engine.Store.Hash(request.Revision);
            return Task.FromResult(new HashKVResponse { Header = engine.Header(), Hash = hash, CompactRevision = engine.Store.CompactedRevision });
        }
    }

    public override Task<StatusResponse> Status(StatusRequest request, ServerCallContext context)
    {
        lock (engine.Gate)
        {
            return Task.FromResult(new StatusResponse
            {
                Header = engine.Header(),
                Version = Version,
                DbSize = engine.Store.Size,
                DbSizeInUse = engine.Store.Size,
                Leader = engine.MemberId,
                RaftIndex = engine.AppliedIndex,
                RaftAppliedIndex = engine.AppliedIndex,
                RaftTerm = EtcdEngine.RaftTerm,
            });
        }
    }
}
