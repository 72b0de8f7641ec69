using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;
using Google.Protobuf;

namespace Discovery.Etcd.KeyValues;

/// <summary>Operations on single keys, and transactions.</summary>
internal sealed class KeyValueClient(KV.KVClient stub, LatestRevision latest)
{
    public async Task<EtcdKeyValue?> GetAsync(string key, CancellationToken cancellationToken)
    {
        var request = new RangeRequest { Key = ByteString.CopyFromUtf8(key) };
        var response = await stub.RangeAsync(request, cancellationToken: cancellationToken).ConfigureAwait(false);
        latest.Observe(response.Header);
        return RecordOf(response);
    }

    /// <summary>Reads one key and the revision at which it stood so.</summary>
    public async Task<(EtcdKeyValue? Record, ResponseHeader Header)> ReadAsync(KeyRange key, CancellationToken cancellationToken)
    {
        var response = await stub.RangeAsync(new RangeRequest { Key = key.Start }, cancellationToken: cancellationToken).ConfigureAwait(false);
        latest.Observe(response.Header);
        return (RecordOf(response), response.Header ?? new ResponseHeader());
    }

    public async Task<long> PutAsync(string key, ReadOnlyMemory<byte> value, long leaseId, CancellationToken cancellationToken)
    {
        var request = new PutRequest { Key = ByteString.CopyFromUtf8(key), Value = ByteString.CopyFrom(value.Span), Lease = leaseId };
        var response = await stub.PutAsync(request, cancellationToken: cancellationToken).ConfigureAwait(false);
        latest.Observe(response.Header);
        return response.Header?.Revision ?? 0;
    }

    public async Task<bool> DeleteAsync(string key, CancellationToken cancellationToken)
    {
        var request = new DeleteRangeRequest { Key = ByteString.CopyFromUtf8(key) };
        var response = await stub.DeleteRangeAsync(request, cancellationToken: cancellationToken).ConfigureAwait(false);
        latest.Observe(response.Header);
        return response.Deleted > 0;
    }

    public async Task<EtcdTransactionResult> ExecuteAsync(EtcdTransaction transaction, CancellationToken cancellationToken)
    {
        var request = new TxnRequest();
        request.Compare.AddRange(transaction.When.Select(c => c.Message));
        request.Success.AddRange(transaction.Then.Select(o => o.Message));
        request.Failure.AddRange(transaction.Else.Select(o => o.Message));
        var response = await stub.TxnAsync(request, cancellationToken: cancellationToken).ConfigureAwait(false);
        latest.Observe(response.Header);
        var reads = response.Responses
            .Where(r => r.ResponseCase == ResponseOp.ResponseOneofCase.ResponseRange)
            .Select(r => RecordOf(r.ResponseRange));
        return new EtcdTransactionResult
        {
            Succeeded = response.Succeeded,
            Revision = response.Header?.Revision ?? 0,
            Reads = [.. reads],
        };
    }

    private static EtcdKeyValue? RecordOf(RangeResponse response) => response.Kvs.Count > 0 ? Records.From(response.Kvs[0]) : null;
}
