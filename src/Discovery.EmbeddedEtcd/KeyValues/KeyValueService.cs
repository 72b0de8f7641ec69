using Discovery.EmbeddedEtcd.Contract;
using Discovery.EmbeddedEtcd.Store;
using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.KeyValues;

/// <summary>etcdserverpb.KV.</summary>
internal sealed class KeyValueService(EtcdEngine engine) : KV.KVBase
{
    // What etcd adds to a request before it measures it: the id that its log entry carries.
    private const int EntryOverhead = 20;

    public override Task<RangeResponse> Range(RangeRequest request, ServerCallContext context)
    {
        RequestRules.Check(request);
        lock (engine.Gate)
        {
            var response = Operations.Range(engine.Begin(), request);
            response.Header = engine.Header();
            return Task.FromResult(response);
        }
    }

    public override Task<PutResponse> Put(PutRequest request, ServerCallContext context)
    {
        RequestRules.Check(request);
        CheckSize(request);
        lock (engine.Gate)
        {
            var transaction = engine.Begin();
            if (request.Lease != 0 && engine.Leases.Find(request.Lease) is null)
            {
                throw ServerErrors.LeaseNotFound();
            }

            if ((request.IgnoreLease || request.IgnoreValue) && transaction.Find(request.Key) is null)
            {
                throw ServerErrors.KeyNotFound();
            }

            var response = Operations.Put(transaction, request);
            engine.Commit(transaction);
            response.Header = engine.Header();
            return Task.FromResult(response);
        }
    }

    public override Task<DeleteRangeResponse> DeleteRange(DeleteRangeRequest request, ServerCallContext context)
    {
        RequestRules.Check(request);
        CheckSize(request);
        lock (engine.Gate)
        {
            var transaction = engine.Begin();
            var response = Operations.Delete(transaction, request);
            engine.Commit(transaction);
            response.Header = engine.Header();
            return Task.FromResult(response);
        }
    }

    public override Task<TxnResponse> Txn(TxnRequest request, ServerCallContext context)
    {
        RequestRules.Check(request, RequestLimits.MaxTransactionOperations);
        WriteSet.Check(request);
        var readsOnly = Branch.ReadsOnly(request);
        if (!readsOnly)
        {
            CheckSize(request);
        }

        lock (engine.Gate)
        {
            var transaction = engine.Begin();
            var branch = Branch.Choose(transaction, request);
            branch.Check(transaction, engine.Leases, engine.Store.CompactedRevision, checkPuts: !readsOnly);
            var response = Run(branch, transaction);
            if (!readsOnly)
            {
                engine.Commit(transaction);
            }

            response.Header = engine.Header();
            return Task.FromResult(response);
        }
    }

    public override Task<CompactionResponse> Compact(CompactionRequest request, ServerCallContext context)
    {
        lock (engine.Gate)
        {
            engine.Store.Compact(request.Revision);
            return Task.FromResult(new CompactionResponse { Header = engine.Header() });
        }
    }

    private static TxnResponse Run(Branch branch, StoreTransaction transaction)
    {
        try
        {
            return branch.Run(transaction);
        }
        catch
        {
            transaction.Rollback();
            throw;
        }
    }

    private static void CheckSize(IMessage request)
    {
        if (request.CalculateSize() + EntryOverhead > RequestLimits.MaxRequestSize)
        {
            throw ServerErrors.RequestTooLarge();
        }
    }
}
