using Discovery.EmbeddedEtcd.Contract;
using Discovery.EmbeddedEtcd.Store;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.KeyValues;

/// <summary>The three operations, alone or in a transaction. In a transaction their headers tell the revision and nothing else.</summary>
internal static class Operations
{
    public static RangeResponse Range(StoreTransaction transaction, RangeRequest request)
    {
        var selection = new Selection(request);
        var found = transaction.Range(KeyInterval.Of(request.Key, request.RangeEnd), request.Revision, selection.ReadLimit, request.CountOnly);
        var response = new RangeResponse { Header = new ResponseHeader { Revision = transaction.Revision }, Count = found.Count };
        selection.Fill(response, found.Records);
        return response;
    }

    public static PutResponse Put(StoreTransaction transaction, PutRequest request)
    {
        var previous = request.PrevKv || request.IgnoreValue || request.IgnoreLease ? transaction.Find(request.Key) : null;
        if (previous is null && (request.IgnoreValue || request.IgnoreLease))
        {
            // Checked before, so a transaction deleted it meanwhile, by a range without end. etcd itself does not survive that.
            throw ServerErrors.KeyNotFound();
        }

        transaction.Put(
            request.Key,
            request.IgnoreValue ? previous!.Value : request.Value,
            request.IgnoreLease ? previous!.Lease : request.Lease);
        return new PutResponse
        {
            Header = new ResponseHeader { Revision = transaction.Revision },
            PrevKv = request.PrevKv ? previous : null,
        };
    }

    public static DeleteRangeResponse Delete(StoreTransaction transaction, DeleteRangeRequest request)
    {
        var range = KeyInterval.Of(request.Key, request.RangeEnd);
        var response = new DeleteRangeResponse();
        if (request.PrevKv)
        {
            response.PrevKvs.AddRange(transaction.Range(range).Records);
        }

        response.Deleted = transaction.Delete(range);
        response.Header = new ResponseHeader { Revision = transaction.Revision };
        return response;
    }
}
