namespace Discovery.Etcd;

/// <summary>A comparison of a transaction: that a property of a key has a value.</summary>
public sealed class EtcdCompare
{
    private EtcdCompare(Protocol.Compare message) => Message = message;

    internal Protocol.Compare Message { get; }

    /// <summary>The key hangs on this lease.</summary>
    /// <param name="key">The key.</param>
    /// <param name="leaseId">The lease; 0 for none.</param>
    public static EtcdCompare Lease(string key, long leaseId) => new(new Protocol.Compare
    {
        Key = Google.Protobuf.ByteString.CopyFromUtf8(key),
        Target = Protocol.Compare.Types.CompareTarget.Lease,
        Result = Protocol.Compare.Types.CompareResult.Equal,
        Lease = leaseId,
    });

    /// <summary>The key was last changed at this revision.</summary>
    /// <param name="key">The key.</param>
    /// <param name="revision">The revision; 0: the key does not exist.</param>
    public static EtcdCompare ModRevision(string key, long revision) => new(new Protocol.Compare
    {
        Key = Google.Protobuf.ByteString.CopyFromUtf8(key),
        Target = Protocol.Compare.Types.CompareTarget.Mod,
        Result = Protocol.Compare.Types.CompareResult.Equal,
        ModRevision = revision,
    });
}
