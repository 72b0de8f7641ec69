namespace Discovery.Etcd.Connections;

/// <summary>
/// How many operations may be sent a second time because the first was not answered yet. If that never helps, the cluster is slow and not one
/// member dead, and second sends only add to its load: a few are allowed, and one more for every ten operations that need none.
/// </summary>
internal sealed class HedgeBudget
{
    private const double Most = 10;
    private const double Least = Most / 2;
    private const double Gain = 0.1;

    private readonly Lock _gate = new();
    private double _tokens = Most;

    /// <summary>Set when there is more.</summary>
    public Signal Changed { get; } = new();

    /// <summary>Takes the cost of a second send.</summary>
    public bool TryTake()
    {
        lock (_gate)
        {
            if (_tokens <= Least)
            {
                return false;
            }

            _tokens--;
            return true;
        }
    }

    /// <summary>An operation was answered.</summary>
    /// <param name="isHedgeWon">Whether a second send was answered first: then it was worth its cost.</param>
    public void Succeeded(bool isHedgeWon)
    {
        if (Volatile.Read(ref _tokens) >= Most)
        {
            return;
        }

        lock (_gate)
        {
            _tokens = Math.Min(Most, _tokens + (isHedgeWon ? 1 : Gain));
        }

        Changed.Set();
    }
}
