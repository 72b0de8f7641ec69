using Discovery.EmbeddedEtcd.Contract;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Leases;

/// <summary>etcdserverpb.Lease.</summary>
internal sealed class LeaseService(EtcdEngine engine, CancellationToken stopping) : Lease.LeaseBase
{
    public override Task<LeaseGrantResponse> LeaseGrant(LeaseGrantRequest request, ServerCallContext context)
    {
        lock (engine.Gate)
        {
            engine.ExpireLeases();
            var lease = engine.Leases.Grant(request.ID, request.TTL);
            engine.ArmExpiry();
            return Task.FromResult(new LeaseGrantResponse { Header = engine.Header(), ID = lease.Id, TTL = lease.Ttl });
        }
    }

    public override Task<LeaseRevokeResponse> LeaseRevoke(LeaseRevokeRequest request, ServerCallContext context)
    {
        lock (engine.Gate)
        {
            engine.ExpireLeases();
            engine.Revoke(engine.Leases.Find(request.ID) ?? throw ServerErrors.LeaseNotFound());
            engine.ArmExpiry();
            return Task.FromResult(new LeaseRevokeResponse { Header = engine.Header() });
        }
    }

    public override Task<LeaseTimeToLiveResponse> LeaseTimeToLive(LeaseTimeToLiveRequest request, ServerCallContext context)
    {
        lock (engine.Gate)
        {
            engine.ExpireLeases();
            var response = new LeaseTimeToLiveResponse { Header = engine.Header(), ID = request.ID, TTL = -1 };
            if (engine.Leases.Find(request.ID) is { } lease)
            {
                response.TTL = (long)engine.Leases.Remaining(lease).TotalSeconds;
                response.GrantedTTL = lease.Ttl;
                if (request.Keys)
                {
                    response.Keys.AddRange(lease.Keys);
                }
            }

            return Task.FromResult(response);
        }
    }

    public override Task<LeaseLeasesResponse> LeaseLeases(LeaseLeasesRequest request, ServerCallContext context)
    {
        lock (engine.Gate)
        {
            engine.ExpireLeases();
            var response = new LeaseLeasesResponse { Header = engine.Header() };
            response.Leases.AddRange(engine.Leases.All.Select(l => new LeaseStatus { ID = l.Id }));
            return Task.FromResult(response);
        }
    }

    public override async Task LeaseKeepAlive(
        IAsyncStreamReader<LeaseKeepAliveRequest> requestStream, IServerStreamWriter<LeaseKeepAliveResponse> responseStream, ServerCallContext context)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, stopping);
        // A streaming client waits for the headers before it has anything to say.
        await context.WriteResponseHeadersAsync([]).ConfigureAwait(false);
        while (await requestStream.MoveNext(ending.Token).ConfigureAwait(false))
        {
            await responseStream.WriteAsync(KeepAlive(requestStream.Current), CancellationToken.None).ConfigureAwait(false);
        }
    }

    // A lease that does not exist is no error here, but a TTL of zero.
    private LeaseKeepAliveResponse KeepAlive(LeaseKeepAliveRequest request)
    {
        lock (engine.Gate)
        {
            engine.ExpireLeases();
            var response = new LeaseKeepAliveResponse { Header = engine.Header(), ID = request.ID };
            if (engine.Leases.Find(request.ID) is { } lease)
            {
                engine.Leases.Renew(lease);
                engine.ArmExpiry();
                response.TTL = lease.Ttl;
            }

            return response;
        }
    }
}
