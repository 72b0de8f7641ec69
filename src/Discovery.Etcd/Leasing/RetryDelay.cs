namespace Discovery.Etcd.Leasing;

/// <summary>How long a keeper waits before it asks again. It asks for ever; many keepers do not keep step.</summary>
internal static class RetryDelay
{
    /// <summary>The pause after a first failure.</summary>
    public static readonly TimeSpan First = TimeSpan.FromMilliseconds(100);

    /// <summary>A registration must be back within 2 s of etcd; the steps before have spread a thousand processes over this time.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(1);

    /// <summary>The pause after a first refusal.</summary>
    public static readonly TimeSpan FirstRefused = TimeSpan.FromSeconds(1);

    /// <summary>A person has to act, which takes minutes; etcd need not be asked much more often.</summary>
    public static readonly TimeSpan LongestRefused = TimeSpan.FromSeconds(30);

    /// <summary>The pause after a failure.</summary>
    /// <param name="error">What failed.</param>
    /// <param name="failures">How many times in a row, from 1.</param>
    public static TimeSpan After(Exception error, int failures)
    {
        var isTemporary = error is EtcdException && !KeeperErrors.IsRefusal(error);
        return isTemporary ? Temporary(failures) : Jitter.Spread(Jitter.Grow(FirstRefused, failures, LongestRefused));
    }

    /// <summary>The pause after something that is expected to be over soon.</summary>
    /// <param name="failures">How many times in a row, from 1.</param>
    public static TimeSpan Temporary(int failures) => Jitter.Spread(Jitter.Grow(First, failures, Longest));
}
