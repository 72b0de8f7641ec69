namespace Discovery.EmbeddedEtcd.Contract;

/// <summary>etcd's default limits.</summary>
internal static class RequestLimits
{
    /// <summary>The largest write request, in bytes as etcd stores it: 1.5 MiB.</summary>
    public const int MaxRequestSize = 3 * 512 * 1024;

    /// <summary>The largest message that the server receives, and the size of watch fragments: the former and 512 KiB.</summary>
    public const int MaxMessageSize = MaxRequestSize + (512 * 1024);

    /// <summary>The most operations in one branch of a transaction.</summary>
    public const int MaxTransactionOperations = 128;

    /// <summary>What a field adds to its message: a tag and a length, at most.</summary>
    public const int FieldOverhead = 6;
}
