namespace Discovery.AspNetCore.Pools;

/// <summary>
/// The calls that failed last. A gRPC client's retries are requests that have nothing in common but their method, and say only that there
/// were attempts before: they avoid the instances at which that method failed just now.
/// </summary>
internal sealed class RecentFailures(TimeProvider time)
{
    /// <summary>Between two attempts lies a back-off of usually less than a few seconds.</summary>
    private static readonly TimeSpan Memory = TimeSpan.FromSeconds(5);

    private readonly Entry?[] _ring = new Entry?[16];
    private int _next;

    public void Add(Uri method, InstanceState instance)
        => Volatile.Write(ref _ring[(uint)Interlocked.Increment(ref _next) % _ring.Length], new Entry(method.AbsolutePath, instance, time.GetTimestamp()));

    /// <summary>The instances at which a method failed just now.</summary>
    public IEnumerable<InstanceState> Find(Uri method)
    {
        var path = method.AbsolutePath;
        return _ring.OfType<Entry>()
            .Where(e => e.Path == path && time.GetElapsedTime(e.At) < Memory)
            .Select(static e => e.Instance)
            .Distinct();
    }

    private sealed record Entry(string Path, InstanceState Instance, long At);
}
