using Discovery.EmbeddedEtcd.Leases;
using Discovery.EmbeddedEtcd.Store;
using Discovery.EmbeddedEtcd.Watches;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd;

/// <summary>
/// The state of the server: store, leases and watchers, which change together, under one gate. Nothing under the gate waits.
/// </summary>
internal sealed class EtcdEngine : IDisposable
{
    /// <summary>The term of a cluster whose first election was the last.</summary>
    public const ulong RaftTerm = 2;

    // A timer may fire a little early, and a fake one fires inside Change when it is due at once: never arm less than this.
    private static readonly TimeSpan LeastDelay = TimeSpan.FromMilliseconds(1);

    // Timers have an upper limit; a lease can live for centuries.
    private static readonly TimeSpan MostDelay = TimeSpan.FromDays(1);

    private readonly long _retainedRevisions;
    private readonly ITimer _expiry;

    public EtcdEngine(TimeProvider timeProvider, long retainedRevisions)
    {
        TimeProvider = timeProvider;
        _retainedRevisions = retainedRevisions;
        Leases = new LeaseTable(timeProvider);
        Watchers = new WatcherTable();
        _expiry = timeProvider.CreateTimer(static engine => ((EtcdEngine)engine!).OnExpiryTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public Lock Gate { get; } = new();

    public TimeProvider TimeProvider { get; }

    public MvccStore Store { get; } = new();

    public LeaseTable Leases { get; }

    public WatcherTable Watchers { get; }

    /// <summary>Different for each instance: a client that meets another one must notice that its revisions mean nothing any more.</summary>
    public ulong ClusterId { get; } = NewId();

    public ulong MemberId { get; } = NewId();

    /// <summary>How many requests have changed anything: etcd's raft index.</summary>
    public ulong AppliedIndex { get; private set; } = 1;

    /// <summary>The header of a response.</summary>
    /// <param name="revision">The revision to tell; none is the current one.</param>
    public ResponseHeader Header(long? revision = null) => new()
    {
        ClusterId = ClusterId,
        MemberId = MemberId,
        Revision = revision ?? Store.Revision,
        RaftTerm = RaftTerm,
    };

    public StoreTransaction Begin() => new(Store, Leases);

    public void Commit(StoreTransaction transaction)
    {
        AppliedIndex++;
        if (transaction.Changes.Count == 0)
        {
            return;
        }

        Store.Commit(transaction.Changes);
        Watchers.Notify(transaction.Changes);
        if (_retainedRevisions > 0 && Store.Revision - Math.Max(Store.CompactedRevision, 0) > _retainedRevisions + (_retainedRevisions / 10))
        {
            Store.Compact(Store.Revision - _retainedRevisions);
        }
    }

    /// <summary>Ends leases whose time has come and sees that the next one is not missed. To be called before leases are looked at.</summary>
    public void ExpireLeases()
    {
        while (Leases.FindExpired() is { } expired)
        {
            Revoke(expired);
        }

        ArmExpiry();
    }

    /// <summary>Ends a lease: its keys go in one revision, in their order.</summary>
    public void Revoke(GrantedLease lease)
    {
        var transaction = Begin();
        foreach (var key in lease.Keys.Order(Comparer<Google.Protobuf.ByteString>.Create(ByteStringOrder.CompareTo)).ToList())
        {
            transaction.Delete(KeyInterval.Of(key, Google.Protobuf.ByteString.Empty));
        }

        Leases.Remove(lease);
        Commit(transaction);
    }

    /// <summary>Sets the timer to the next lease that ends.</summary>
    public void ArmExpiry()
    {
        var delay = Leases.UntilNextExpiry is { } due
            ? TimeSpan.FromTicks(Math.Clamp(due.Ticks, LeastDelay.Ticks, MostDelay.Ticks))
            : Timeout.InfiniteTimeSpan;
        _expiry.Change(delay, Timeout.InfiniteTimeSpan);
    }

    public void Dispose() => _expiry.Dispose();

    private void OnExpiryTimer()
    {
        lock (Gate)
        {
            ExpireLeases();
        }
    }

    private static ulong NewId() => (ulong)Random.Shared.NextInt64(1, long.MaxValue);
}
