using Discovery.Etcd.Connections;

namespace Discovery.Etcd.Calls;

/// <summary>A call that waits for its answer, as <see cref="UnansweredCalls"/> keeps it.</summary>
/// <param name="endpoint">Where it was sent.</param>
/// <param name="token">The auth token that was sent, if any.</param>
/// <param name="sentAt">When.</param>
/// <param name="term">The latest raft term that was known then.</param>
internal abstract class UnansweredCall(EtcdEndpoint endpoint, string? token, long sentAt, ulong term)
{
    public EtcdEndpoint Endpoint => endpoint;

    public string? Token => token;

    public long SentAt => sentAt;

    public ulong Term => term;

    // Of the list, which is linked through its members so that adding one allocates nothing. Used under its lock.
    public UnansweredCall? Previous { get; set; }

    public UnansweredCall? Next { get; set; }

    public bool IsListed { get; set; }

    /// <summary>It had its time, or the client ends, and it is not in the list any more. Called under the list's lock: only begins what is to be done.</summary>
    public abstract void TakeOver();
}
