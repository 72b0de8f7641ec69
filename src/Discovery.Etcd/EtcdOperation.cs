using Google.Protobuf;

namespace Discovery.Etcd;

/// <summary>An operation of a transaction.</summary>
public sealed class EtcdOperation
{
    private EtcdOperation(Protocol.RequestOp message) => Message = message;

    internal Protocol.RequestOp Message { get; }

    /// <summary>Reads one key.</summary>
    /// <param name="key">The key.</param>
    public static EtcdOperation Get(string key) => new(new Protocol.RequestOp
    {
        RequestRange = new Protocol.RangeRequest { Key = ByteString.CopyFromUtf8(key) },
    });

    /// <summary>Puts one key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <param name="leaseId">The lease to attach; 0 for none.</param>
    public static EtcdOperation Put(string key, ReadOnlyMemory<byte> value, long leaseId = 0) => new(new Protocol.RequestOp
    {
        RequestPut = new Protocol.PutRequest { Key = ByteString.CopyFromUtf8(key), Value = ByteString.CopyFrom(value.Span), Lease = leaseId },
    });

    /// <summary>Deletes one key.</summary>
    /// <param name="key">The key.</param>
    public static EtcdOperation Delete(string key) => new(new Protocol.RequestOp
    {
        RequestDeleteRange = new Protocol.DeleteRangeRequest { Key = ByteString.CopyFromUtf8(key) },
    });
}
