using Discovery.EmbeddedEtcd.Contract;
using Discovery.EmbeddedEtcd.Store;
using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;

namespace Discovery.EmbeddedEtcd.KeyValues;

/// <summary>
/// The keys that a list of operations may put and the ranges that it may delete. A key must not be put twice, nor put and deleted,
/// in one transaction; the two branches of an inner transaction exclude each other and may share keys.
/// </summary>
internal sealed class WriteSet
{
    private readonly HashSet<ByteString> _puts = [];
    private readonly List<KeyInterval> _deletes = [];

    /// <exception cref="RpcException">A branch of the transaction writes a key twice.</exception>
    public static void Check(TxnRequest request)
    {
        Of(request.Success);
        Of(request.Failure);
    }

    private static WriteSet Of(IEnumerable<RequestOp> operations)
    {
        var set = new WriteSet();
        foreach (var operation in operations.Where(o => o.RequestCase == RequestOp.RequestOneofCase.RequestDeleteRange))
        {
            set._deletes.Add(KeyInterval.Of(operation.RequestDeleteRange.Key, operation.RequestDeleteRange.RangeEnd));
        }

        foreach (var operation in operations.Where(o => o.RequestCase == RequestOp.RequestOneofCase.RequestTxn))
        {
            set.Add(Of(operation.RequestTxn.Success), Of(operation.RequestTxn.Failure));
        }

        foreach (var operation in operations.Where(o => o.RequestCase == RequestOp.RequestOneofCase.RequestPut))
        {
            set.AddPut(operation.RequestPut.Key);
        }

        return set;
    }

    private void Add(WriteSet success, WriteSet failure)
    {
        foreach (var key in success._puts)
        {
            AddPut(key);
        }

        foreach (var key in failure._puts)
        {
            if (!success._puts.Contains(key))
            {
                AddPut(key);
            }
        }

        _deletes.AddRange(success._deletes);
        _deletes.AddRange(failure._deletes);
    }

    // etcd takes the end "\0" of an unbounded deletion for a bound here, so that such a deletion excludes no put.
    private void AddPut(ByteString key)
    {
        if (!_puts.Add(key) || _deletes.Exists(d => !d.IsUnbounded && d.Contains(key)))
        {
            throw ServerErrors.DuplicateKey();
        }
    }
}
