namespace Discovery.Etcd.Watching;

/// <summary>Bounds what the readers of a client's watches leave unread: for each watch, and for all of them together.</summary>
internal sealed class UnreadBudget
{
    /// <summary>
    /// How much one watch may keep, in bytes of memory. Some 80,000 changes of service records: a reader that is only slow never gets there.
    /// </summary>
    public const long PerWatch = 64 * 1024 * 1024;

    /// <summary>How much all watches of a client may keep.</summary>
    public const long Total = 4 * PerWatch;

    private long _total;
    private bool _mayBeExceeded;

    /// <summary>The size of a queue changed.</summary>
    public void Changed(long by, long queueSize)
    {
        var total = Interlocked.Add(ref _total, by);
        if (queueSize > PerWatch || total > Total)
        {
            Volatile.Write(ref _mayBeExceeded, true);
        }
    }

    /// <summary>Finds a watch that must not go on as it does, if there is one.</summary>
    /// <param name="watches">All watches.</param>
    /// <param name="mustDrop">Whether it has to give up what it keeps: all together keep too much, and it keeps most.</param>
    public WatchSubscription? FindExcess(IReadOnlyCollection<WatchSubscription> watches, out bool mustDrop)
    {
        mustDrop = false;
        if (!Volatile.Read(ref _mayBeExceeded))
        {
            return null;
        }

        if (watches.FirstOrDefault(w => w.NeedsStream && w.Updates.Size > PerWatch) is { } greedy)
        {
            return greedy;
        }

        mustDrop = Interlocked.Read(ref _total) > Total;
        Volatile.Write(ref _mayBeExceeded, mustDrop);
        return mustDrop ? watches.MaxBy(w => w.Updates.Size) : null;
    }
}
