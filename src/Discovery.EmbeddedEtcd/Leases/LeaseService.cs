using Discovery.EmbeddedEtcd.Server;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.Leases;

/// <summary>etcdserverpb.Lease.</summary>
internal sealed class LeaseService(EtcdEngine engine)
{
    public LeaseGrantResponse Grant(LeaseGrantRequest request)
    {
        lock (engine.Gate)
        {
            engine.ExpireLeases();
            var lease = engine.Leases.Grant(request.ID, request.TTL);
            engine.ArmExpiry();
            return new LeaseGrantResponse { Header = engine.Header(), ID = lease.Id, TTL = lease.Ttl };
        }
    }

    public LeaseRevokeResponse Revoke(LeaseRevokeRequest request)
    {
        lock (engine.Gate)
        {
            engine.ExpireLeases();
            engine.Revoke(engine.Leases.Find(request.ID) ?? throw EtcdErrors.LeaseNotFound());
            engine.ArmExpiry();
            return new LeaseRevokeResponse { Header = engine.Header() };
        }
    }

    public LeaseTimeToLiveResponse TimeToLive(LeaseTimeToLiveRequest request)
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

            return response;
        }
    }

    public LeaseLeasesResponse List(LeaseLeasesRequest request)
    {
        lock (engine.Gate)
        {
            engine.ExpireLeases();
            var response = new LeaseLeasesResponse { Header = engine.Header() };
            response.Leases.AddRange(engine.Leases.All.Select(l => new LeaseStatus { ID = l.Id }));
            return response;
        }
    }

    public async Task KeepAliveAsync(GrpcCall call, CancellationToken cancellationToken)
    {
        await call.StartAsync(cancellationToken);
        while (await call.ReadAsync(LeaseKeepAliveRequest.Parser, cancellationToken) is { } request)
        {
            call.Write(KeepAlive(request));
            await call.FlushAsync(cancellationToken);
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
