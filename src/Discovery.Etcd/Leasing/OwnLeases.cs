namespace Discovery.Etcd.Leasing;

/// <summary>
/// The lease that a keeper holds, and those it held before: a key that hangs on one of them is ours. Used under the lock of
/// <see cref="DesiredKeys"/>.
/// </summary>
internal sealed class OwnLeases
{
    // Enough to know our own keys again after several losses in a row; older leases have long expired.
    private const int Remembered = 8;

    private readonly Queue<long> _ids = new();

    /// <summary>The lease held now.</summary>
    public HeldLease? Current { get; private set; }

    /// <summary>All of them, newest first. What we hold for lost may still live at the server.</summary>
    public IReadOnlyList<long> Ids => [.. _ids.Reverse()];

    public bool Contains(long leaseId) => _ids.Contains(leaseId);

    public void Granted(HeldLease lease)
    {
        Current = lease;
        _ids.Enqueue(lease.Id);
        if (_ids.Count > Remembered)
        {
            _ids.Dequeue();
        }
    }

    /// <summary>The lease is not held any more.</summary>
    /// <returns>Whether it was until now.</returns>
    public bool Ended(HeldLease lease)
    {
        var wasHeld = Current == lease;
        Current = wasHeld ? null : Current;
        return wasHeld;
    }
}
