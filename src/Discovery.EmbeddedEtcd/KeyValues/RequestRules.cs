using Discovery.EmbeddedEtcd.Contract;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.KeyValues;

/// <summary>What etcd refuses before it looks at its state, in its order.</summary>
internal static class RequestRules
{
    public static void Check(RangeRequest request) => CheckKey(request.Key.IsEmpty);

    public static void Check(DeleteRangeRequest request) => CheckKey(request.Key.IsEmpty);

    public static void Check(PutRequest request)
    {
        CheckKey(request.Key.IsEmpty);
        if (request.IgnoreValue && !request.Value.IsEmpty)
        {
            throw ServerErrors.ValueProvided();
        }

        if (request.IgnoreLease && request.Lease != 0)
        {
            throw ServerErrors.LeaseProvided();
        }
    }

    /// <param name="request">The transaction.</param>
    /// <param name="allowed">The most operations: an inner transaction may use what the outer one leaves.</param>
    public static void Check(TxnRequest request, int allowed)
    {
        var most = Math.Max(request.Compare.Count, Math.Max(request.Success.Count, request.Failure.Count));
        if (most > allowed)
        {
            throw ServerErrors.TooManyOperations();
        }

        foreach (var compare in request.Compare)
        {
            CheckKey(compare.Key.IsEmpty);
        }

        foreach (var operation in request.Success.Concat(request.Failure))
        {
            Check(operation, allowed - most);
        }
    }

    private static void Check(RequestOp operation, int allowed)
    {
        switch (operation.RequestCase)
        {
            case RequestOp.RequestOneofCase.RequestRange:
                Check(operation.RequestRange);
                break;
            case RequestOp.RequestOneofCase.RequestPut:
                Check(operation.RequestPut);
                break;
            case RequestOp.RequestOneofCase.RequestDeleteRange:
                Check(operation.RequestDeleteRange);
                break;
            case RequestOp.RequestOneofCase.RequestTxn:
                Check(operation.RequestTxn, allowed);
                break;
            default:
                throw ServerErrors.KeyNotFound();
        }
    }

    private static void CheckKey(bool isEmpty)
    {
        if (isEmpty)
        {
            throw ServerErrors.EmptyKey();
        }
    }
}
