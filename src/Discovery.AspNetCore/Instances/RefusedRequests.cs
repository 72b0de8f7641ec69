namespace Discovery.AspNetCore.Instances;

/// <summary>
/// The requests that were answered 404 and the like, or by an exception, of late, and whether other instances serve the same ones: what tells a stranger at an
/// instance's address from a service that does not have what it is asked for. Costs calls nothing while nothing is refused.
/// </summary>
internal sealed class RefusedRequests
{
    private const double MemorySeconds = 30;

    private readonly Entry?[] _latest = new Entry?[16];
    private int _next;
    private long _rememberedUntil = long.MinValue;

    /// <summary>An instance refused a request.</summary>
    public void OnRefused(HttpRequestMessage request, InstanceState instance)
    {
        var id = IdOf(request);
        var context = instance.Context;
        Volatile.Write(ref _rememberedUntil, context.CoarseNow + (long)(MemorySeconds * context.TicksPerSecond));
        if (!Array.Exists(_latest, e => e?.Request == id && e.Instance == instance))
        {
            Volatile.Write(ref _latest[(uint)Interlocked.Increment(ref _next) % _latest.Length], new Entry(id, instance));
        }
    }

    /// <summary>An instance served a request.</summary>
    public void OnServed(HttpRequestMessage request, InstanceState instance)
    {
        if (instance.Context.CoarseNow > Volatile.Read(ref _rememberedUntil))
        {
            return;
        }

        var id = IdOf(request);
        foreach (var entry in _latest)
        {
            if (entry?.Request == id && entry.Instance != instance)
            {
                entry.ServedAt = instance.Context.CoarseNow;
            }
        }
    }

    /// <summary>Whether another instance served, since a time, a request that this one refused.</summary>
    public bool AreServedElsewhere(InstanceState instance, long since)
        => Array.Exists(_latest, e => e?.Instance == instance && e.ServedAt >= since);

    /// <summary>What tells requests apart: method, path and query.</summary>
    public static ulong IdOf(HttpRequestMessage request)
        => StableHash.Mix(StableHash.Of(request.RequestUri!.PathAndQuery) ^ StableHash.Of(request.Method.Method));

    private sealed class Entry(ulong request, InstanceState instance)
    {
        private long _servedAt = long.MinValue;

        public ulong Request => request;

        public InstanceState Instance => instance;

        public long ServedAt
        {
            get => Volatile.Read(ref _servedAt);
            set => Volatile.Write(ref _servedAt, value);
        }
    }
}
