using System.Diagnostics.CodeAnalysis;

namespace Discovery.Etcd.Leasing;

/// <summary>A granted lease, until it is lost or given up.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The source has neither timer nor links to free, and writes that end late still ask it.")]
internal sealed class HeldLease(long id, LeaseClock clock)
{
    private readonly CancellationTokenSource _ended = new();
    private readonly Signal _doubted = new();
    private volatile bool _isInDoubt;

    public long Id => id;

    public LeaseClock Clock => clock;

    /// <summary>Whether it was given up because no key hangs on it, and is not lost.</summary>
    public bool IsRetired { get; private set; }

    /// <summary>Cancelled when the lease is not ours any more: what waits for a write under it need not wait longer.</summary>
    public CancellationToken Ended => _ended.Token;

    /// <summary>Whether etcd may not know it any more, so that it is to be asked before anything is put on the lease.</summary>
    public bool IsInDoubt => _isInDoubt;

    /// <summary>Ends with the next <see cref="Doubt"/>.</summary>
    public Task Doubted => _doubted.Next;

    /// <summary>etcd may not know it any more.</summary>
    public void Doubt()
    {
        _isInDoubt = true;
        _doubted.Set();
    }

    /// <summary>etcd was asked.</summary>
    public void Trust() => _isInDoubt = false;

    public void Retire() => IsRetired = true;

    public Task EndAsync() => _ended.CancelAsync();
}
