namespace Discovery.AspNetCore.Pools;

/// <summary>
/// The calls by gRPC that failed last. A gRPC client's retries are requests of their own, which say how many attempts there were before: they
/// avoid the instances that those were sent to. An attempt is matched to one that failed at the same method, with the number before its own
/// and the same deadline; and each failure to one call only, or a failed call that nobody retries would steer the calls of others.
/// </summary>
internal sealed class RecentFailures(TimeProvider time)
{
    /// <summary>Between two attempts lies a back-off of usually less than a few seconds.</summary>
    private static readonly TimeSpan Memory = TimeSpan.FromSeconds(5);

    /// <summary>Each attempt names the rest of its call's time in whole milliseconds, and is read a little later.</summary>
    private static readonly TimeSpan SameDeadline = TimeSpan.FromMilliseconds(50);

    private readonly Entry?[] _ring = new Entry?[32];
    private int _next;

    /// <summary>An attempt failed.</summary>
    /// <param name="method">The request's URI.</param>
    /// <param name="attempt">How many attempts the call made before.</param>
    /// <param name="timeLeft">The time that the call had left, or null without a deadline.</param>
    /// <param name="instance">Where it failed.</param>
    public void Add(Uri method, int attempt, TimeSpan? timeLeft, InstanceState instance)
    {
        var now = time.GetTimestamp();
        Volatile.Write(
            ref _ring[(uint)Interlocked.Increment(ref _next) % _ring.Length],
            new Entry(method.AbsolutePath, attempt, timeLeft is { } left ? now + ToTicks(left) : null, instance, now));
    }

    /// <summary>Finds where a call's attempts before this one failed. Asked once by each attempt.</summary>
    public IReadOnlyList<InstanceState> Take(Uri method, int attempt, TimeSpan? timeLeft)
    {
        var path = method.AbsolutePath;
        var deadline = timeLeft is { } left ? time.GetTimestamp() + ToTicks(left) : (long?)null;
        var entries = _ring.OfType<Entry>().Where(e => e.Path == path && time.GetElapsedTime(e.At) < Memory && IsSame(e.Deadline, deadline)).OrderBy(static e => e.At).ToList();
        List<InstanceState> found = [];
        for (var before = Math.Max(0, attempt - _ring.Length); before < attempt; before++)
        {
            if (entries.Find(e => e.Attempt == before && e.TryTake(attempt)) is { } entry)
            {
                found.Add(entry.Instance);
            }
        }

        return found;
    }

    private bool IsSame(long? one, long? other)
        => one is null || other is null ? one == other : Math.Abs(one.Value - other.Value) <= ToTicks(SameDeadline);

    private long ToTicks(TimeSpan span) => (long)(span.TotalSeconds * time.TimestampFrequency);

    private sealed class Entry(string path, int attempt, long? deadline, InstanceState instance, long at)
    {
        /// <summary>The last attempt that has taken it. Those of one call take it one after the other.</summary>
        private int _takenBy = attempt;

        public string Path => path;

        public int Attempt { get; } = attempt;

        public long? Deadline => deadline;

        public InstanceState Instance => instance;

        public long At => at;

        public bool TryTake(int by) => Interlocked.CompareExchange(ref _takenBy, by, by - 1) == by - 1;
    }
}
