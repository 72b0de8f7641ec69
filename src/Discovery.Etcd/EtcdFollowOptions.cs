namespace Discovery.Etcd;

/// <summary>How a prefix is followed.</summary>
public sealed class EtcdFollowOptions
{
    /// <summary>
    /// How often the prefix is listed although its watch is open, in case an event was lost. Default: 5 minutes, with jitter; at least 1 s, at most a day.
    /// </summary>
    public TimeSpan RelistInterval { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Called when what is known of etcd changes: it is away, lists stand in for a watch, or all is well (again). Default: nothing. Calls come one
    /// after another on a thread of the pool, and no change is published meanwhile, so they must be quick. An exception ends the enumeration.
    /// </summary>
    public Action<EtcdFollowStatus>? OnStatusChanged { get; init; }

    internal void Validate()
    {
        if (RelistInterval < TimeSpan.FromSeconds(1) || RelistInterval > TimeSpan.FromDays(1))
        {
            throw new ArgumentOutOfRangeException(
                nameof(RelistInterval), RelistInterval, $"{nameof(EtcdFollowOptions)}.{nameof(RelistInterval)} must be between 1 s and 1 day, e.g. 00:05:00.");
        }
    }
}
