using Discovery.EmbeddedEtcd.Contract;
using Discovery.EmbeddedEtcd.Leases;
using Discovery.EmbeddedEtcd.Store;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.KeyValues;

/// <summary>
/// The branch of a transaction that its comparisons chose, and those of the transactions in it. All are chosen on the state before
/// the first write, and what can be checked is checked before it.
/// </summary>
internal sealed class Branch
{
    private readonly bool _succeeded;
    private readonly IList<RequestOp> _operations;
    private readonly Dictionary<RequestOp, Branch> _inner = new(ReferenceEqualityComparer.Instance);

    private Branch(StoreTransaction transaction, TxnRequest request)
    {
        _succeeded = request.Compare.All(c => Comparison.Holds(transaction, c));
        _operations = _succeeded ? request.Success : request.Failure;
        foreach (var operation in _operations.Where(o => o.RequestCase == RequestOp.RequestOneofCase.RequestTxn))
        {
            _inner.Add(operation, new Branch(transaction, operation.RequestTxn));
        }
    }

    /// <summary>Both branches only read; an inner transaction counts as a write.</summary>
    public static bool ReadsOnly(TxnRequest request)
        => request.Success.Concat(request.Failure).All(o => o.RequestCase == RequestOp.RequestOneofCase.RequestRange);

    public static Branch Choose(StoreTransaction transaction, TxnRequest request) => new(transaction, request);

    /// <exception cref="RpcException">An operation cannot be carried out. Puts are checked first, as in etcd.</exception>
    public void Check(StoreTransaction transaction, LeaseTable leases, long compactedRevision, bool checkPuts)
    {
        if (checkPuts)
        {
            ForEach(RequestOp.RequestOneofCase.RequestPut, o => Check(transaction, leases, o.RequestPut));
        }

        ForEach(RequestOp.RequestOneofCase.RequestRange, o => Check(transaction, compactedRevision, o.RequestRange));
    }

    public TxnResponse Run(StoreTransaction transaction)
    {
        var response = new TxnResponse { Succeeded = _succeeded };
        foreach (var operation in _operations)
        {
            response.Responses.Add(Run(transaction, operation));
        }

        return response;
    }

    private ResponseOp Run(StoreTransaction transaction, RequestOp operation)
    {
        switch (operation.RequestCase)
        {
            case RequestOp.RequestOneofCase.RequestRange:
                return new ResponseOp { ResponseRange = Operations.Range(transaction, operation.RequestRange) };
            case RequestOp.RequestOneofCase.RequestPut:
                return new ResponseOp { ResponsePut = Operations.Put(transaction, operation.RequestPut) };
            case RequestOp.RequestOneofCase.RequestDeleteRange:
                return new ResponseOp { ResponseDeleteRange = Operations.Delete(transaction, operation.RequestDeleteRange) };
            default:
                var inner = _inner[operation].Run(transaction);
                inner.Header = new ResponseHeader();
                return new ResponseOp { ResponseTxn = inner };
        }
    }

    private void ForEach(RequestOp.RequestOneofCase kind, Action<RequestOp> action)
    {
        foreach (var operation in _operations)
        {
            if (_inner.TryGetValue(operation, out var inner))
            {
                inner.ForEach(kind, action);
            }
            else if (operation.RequestCase == kind)
            {
                action(operation);
            }
        }
    }

    private static void Check(StoreTransaction transaction, LeaseTable leases, PutRequest request)
    {
        if ((request.IgnoreValue || request.IgnoreLease) && transaction.Find(request.Key) is null)
        {
            throw ServerErrors.KeyNotFound();
        }

        if (request.Lease != 0 && leases.Find(request.Lease) is null)
        {
            throw ServerErrors.LeaseNotFound();
        }
    }

    private static void Check(StoreTransaction transaction, long compactedRevision, RangeRequest request)
    {
        if (request.Revision > transaction.Revision)
        {
            throw ServerErrors.FutureRevision();
        }

        if (request.Revision != 0 && request.Revision < compactedRevision)
        {
            throw ServerErrors.Compacted();
        }
    }
}
