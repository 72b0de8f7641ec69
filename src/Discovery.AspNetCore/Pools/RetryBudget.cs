namespace Discovery.AspNetCore.Pools;

/// <summary>How many retries the calls of late pay for. A small reserve lets services that are seldom called be retried at all.</summary>
internal sealed class RetryBudget(double percent)
{
    private const long OneRetry = 1_000_000;
    private const long Reserve = 10 * OneRetry;
    private const long Most = 100 * OneRetry;

    private readonly long _perCall = Math.Max(1, (long)(OneRetry * percent / 100));
    private long _balance = Reserve;

    /// <summary>How many retries a hundred calls pay for.</summary>
    public double Percent => percent;

    /// <summary>The budget that options set, or null when there is no limit.</summary>
    public static RetryBudget? Of(EtcdDiscoveryOptions options) => options.RetryBudgetPercent > 0 ? new RetryBudget(options.RetryBudgetPercent) : null;

    /// <summary>A call adds to the budget, a retry takes from it.</summary>
    /// <returns>Whether it may be made.</returns>
    public bool TryBegin(bool isRetry)
    {
        var balance = Volatile.Read(ref _balance);
        while (true)
        {
            if (isRetry && balance < OneRetry)
            {
                return false;
            }

            var after = isRetry ? balance - OneRetry : Math.Min(balance + _perCall, Most);
            var found = Interlocked.CompareExchange(ref _balance, after, balance);
            if (found == balance)
            {
                return true;
            }

            balance = found;
        }
    }
}
