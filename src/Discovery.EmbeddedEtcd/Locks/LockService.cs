using Discovery.EmbeddedEtcd.Contract;
using Discovery.EmbeddedEtcd.Protocol;
using Google.Protobuf;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.Locks;

/// <summary>v3lockpb.Lock.</summary>
internal sealed class LockService(EtcdEngine engine, CancellationToken stopping) : Protocol.Lock.LockBase
{
    // The session of a caller that brings no lease lasts a minute, in etcd too.
    private const long DefaultTtl = 60;

    public override async Task<LockResponse> Lock(LockRequest request, ServerCallContext context)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, stopping);
        using var contender = Enter(request);
        try
        {
            while (!contender.IsOwner())
            {
                await contender.WaitAsync(ending.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // Nobody waits any more, so nobody may come to own it.
            Delete(contender.Key);
            throw;
        }

        lock (engine.Gate)
        {
            return new LockResponse { Header = engine.Header(), Key = contender.Key };
        }
    }

    public override Task<UnlockResponse> Unlock(UnlockRequest request, ServerCallContext context)
    {
        if (request.Key.IsEmpty)
        {
            throw ServerErrors.EmptyKey();
        }

        Delete(request.Key);
        lock (engine.Gate)
        {
            return Task.FromResult(new UnlockResponse { Header = engine.Header() });
        }
    }

    private LockContender Enter(LockRequest request)
    {
        lock (engine.Gate)
        {
            engine.ExpireLeases();
            var lease = request.Lease == 0 ? engine.Leases.Grant(0, DefaultTtl) : engine.Leases.Find(request.Lease) ?? throw ServerErrors.LeaseNotFound();
            engine.ArmExpiry();
            return new LockContender(engine, request.Name, lease);
        }
    }

    private void Delete(ByteString key)
    {
        lock (engine.Gate)
        {
            var transaction = engine.Begin();
            transaction.Delete(Store.KeyInterval.Of(key, ByteString.Empty));
            engine.Commit(transaction);
        }
    }
}
