using System.Diagnostics.CodeAnalysis;

namespace Discovery.Etcd.Leasing;

/// <summary>A granted lease, until it is lost or given up.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The source has neither timer nor links to free, and writes that end late still ask it.")]
internal sealed class HeldLease(long id, LeaseClock clock)
{
    private readonly CancellationTokenSource _ended = new();

    public long Id => id;

    public LeaseClock Clock => clock;

    /// <summary>Whether it was given up because no key hangs on it, and is not lost.</summary>
    public bool IsRetired { get; private set; }

    /// <summary>Cancelled when the lease is not ours any more: what waits for a write under it need not wait longer.</summary>
    public CancellationToken Ended => _ended.Token;

    public void Retire() => IsRetired = true;

    public Task EndAsync() => _ended.CancelAsync();
}
