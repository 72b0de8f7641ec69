using Discovery.EmbeddedEtcd.Contract;
using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Leases;

/// <summary>The leases by id and by the time they end. Not thread-safe: the engine's gate guards it.</summary>
internal sealed class LeaseTable(TimeProvider timeProvider)
{
    /// <summary>The least TTL that an etcd with its default timings grants: 1.5 election timeouts of 1 s, rounded up.</summary>
    public const long MinimumTtl = 2;

    /// <summary>The largest TTL that etcd accepts, in seconds.</summary>
    public const long MaximumTtl = 9_000_000_000;

    private readonly Dictionary<long, GrantedLease> _leases = [];

    private readonly SortedSet<GrantedLease> _byExpiry = new(Comparer<GrantedLease>.Create(
        (a, b) => a.ExpiresAt != b.ExpiresAt ? a.ExpiresAt.CompareTo(b.ExpiresAt) : a.Id.CompareTo(b.Id)));

    private readonly long _start = timeProvider.GetTimestamp();

    private TimeSpan Now => timeProvider.GetElapsedTime(_start);

    /// <summary>The leases, the next to end first.</summary>
    public IEnumerable<GrantedLease> All => _byExpiry;

    /// <summary>How long until the next lease ends, or <see langword="null"/> without leases.</summary>
    public TimeSpan? UntilNextExpiry => _byExpiry.Min is { } next ? Remaining(next) : null;

    public GrantedLease? Find(long id) => _leases.GetValueOrDefault(id);

    public TimeSpan Remaining(GrantedLease lease) => lease.ExpiresAt - Now;

    public GrantedLease? FindExpired() => _byExpiry.Min is { } next && Remaining(next) <= TimeSpan.Zero ? next : null;

    /// <summary>Grants a lease; an id of zero lets the table choose one.</summary>
    public GrantedLease Grant(long id, long ttl)
    {
        if (ttl > MaximumTtl)
        {
            throw ServerErrors.LeaseTtlTooLarge();
        }

        var lease = new GrantedLease(id != 0 ? id : FreeId(), Math.Max(ttl, MinimumTtl));
        if (!_leases.TryAdd(lease.Id, lease))
        {
            throw ServerErrors.LeaseExists();
        }

        Renew(lease);
        return lease;
    }

    public void Renew(GrantedLease lease)
    {
        _byExpiry.Remove(lease);
        lease.ExpiresAt = Now + TimeSpan.FromSeconds(lease.Ttl);
        _byExpiry.Add(lease);
    }

    public void Remove(GrantedLease lease)
    {
        _leases.Remove(lease.Id);
        _byExpiry.Remove(lease);
    }

    /// <summary>Moves a key from one lease to another; zero is no lease.</summary>
    public void Move(ByteString key, long from, long to)
    {
        if (from == to)
        {
            return;
        }

        if (from != 0)
        {
            Find(from)?.Keys.Remove(key);
        }

        if (to != 0)
        {
            Find(to)?.Keys.Add(key);
        }
    }

    private long FreeId()
    {
        long id;
        do
        {
            id = Random.Shared.NextInt64(1, long.MaxValue);
        }
        while (_leases.ContainsKey(id));

        return id;
    }
}
