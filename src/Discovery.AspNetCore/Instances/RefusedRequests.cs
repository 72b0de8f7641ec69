namespace Discovery.AspNetCore.Instances;

/// <summary>
/// The requests that were answered 404 and the like, or by an exception, of late, and whether other instances serve the same ones: what tells a stranger at an
/// instance's address from a service that does not have what it is asked for. Costs calls nothing while nothing is refused.
/// </summary>
internal sealed class RefusedRequests
{
    private const double MemorySeconds = 30;

    /// <summary>What is to come of a stream nobody knows. One that has gone on for so many times as long as those that failed is none of them.</summary>
    private const int LastingFactor = 4;

    private readonly Entry?[] _latest = new Entry?[16];
    private int _next;
    private long _rememberedUntil = long.MinValue;

    /// <summary>An instance refused a request.</summary>
    /// <param name="request">The request.</param>
    /// <param name="instance">The instance.</param>
    /// <param name="lasted">How long the call had gone on, in ticks.</param>
    public void OnRefused(HttpRequestMessage request, InstanceState instance, long lasted = 0)
    {
        var id = IdOf(request);
        var context = instance.Context;
        Volatile.Write(ref _rememberedUntil, context.CoarseNow + (long)(MemorySeconds * context.TicksPerSecond));
        if (Array.Find(_latest, e => e?.Request == id && e.Instance == instance) is { } known)
        {
            known.Lasted += (lasted - known.Lasted) / 8;
        }
        else
        {
            Volatile.Write(ref _latest[(uint)Interlocked.Increment(ref _next) % _latest.Length], new Entry(id, instance) { Lasted = lasted });
        }
    }

    /// <summary>An instance served a request, or a stream goes on that others broke off.</summary>
    /// <param name="request">The request.</param>
    /// <param name="instance">The instance.</param>
    /// <param name="lasted">How long the call has gone on, in ticks; of any length if it has ended well.</param>
    public void OnServed(HttpRequestMessage request, InstanceState instance, long lasted = long.MaxValue)
    {
        if (!IsRemembering(instance))
        {
            return;
        }

        var id = IdOf(request);
        foreach (var entry in _latest)
        {
            if (entry?.Request == id && entry.Instance != instance && lasted / LastingFactor > entry.Lasted)
            {
                entry.ServedAt = instance.Context.CoarseNow;
            }
        }
    }

    /// <summary>Whether anything was refused of late.</summary>
    public bool IsRemembering(InstanceState instance) => instance.Context.CoarseNow <= Volatile.Read(ref _rememberedUntil);

    /// <summary>Whether another instance served, since a time, a request that this one refused.</summary>
    public bool AreServedElsewhere(InstanceState instance, long since)
        => Array.Exists(_latest, e => e?.Instance == instance && e.ServedAt >= since);

    /// <summary>What tells requests apart: method, path and query.</summary>
    public static ulong IdOf(HttpRequestMessage request)
        => StableHash.Mix(StableHash.Of(request.RequestUri!.PathAndQuery) ^ StableHash.Of(request.Method.Method));

    private sealed class Entry(ulong request, InstanceState instance)
    {
        private long _servedAt = long.MinValue;
        private long _lasted;

        public ulong Request => request;

        public InstanceState Instance => instance;

        /// <summary>How long those calls lasted, in ticks: the average of about the last eight.</summary>
        public long Lasted
        {
            get => Volatile.Read(ref _lasted);
            set => Volatile.Write(ref _lasted, value);
        }

        public long ServedAt
        {
            get => Volatile.Read(ref _servedAt);
            set => Volatile.Write(ref _servedAt, value);
        }
    }
}
