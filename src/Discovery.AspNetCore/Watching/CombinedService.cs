using System.Collections.Immutable;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// A service that is read from several places, such as two layouts while one replaces the other: each is watched by itself, and what they
/// have is put together by address.
/// </summary>
internal sealed class CombinedService : IWatchedService
{
    private readonly string _serviceName;
    private readonly IReadOnlyList<IWatchedService> _parts;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();

    /// <summary>For each part the addresses it had that some part still has.</summary>
    private readonly HashSet<string>[] _seen;

    /// <param name="serviceName">The service's name.</param>
    /// <param name="parts">The parts; of two records of one address, that of the first part counts unless it drains and the other does not.</param>
    /// <param name="time">The clock.</param>
    public CombinedService(string serviceName, IReadOnlyList<IWatchedService> parts, TimeProvider time)
    {
        _serviceName = serviceName;
        _parts = parts;
        _time = time;
        _seen = [.. parts.Select(static _ => new HashSet<string>(StringComparer.Ordinal))];
        foreach (var part in parts)
        {
            part.Feed.Published += OnPublished;
        }

        if (parts.Select(static p => p.Feed.Current).OfType<ServiceSnapshot>().FirstOrDefault() is { } first)
        {
            OnPublished(first);
        }
    }

    public SnapshotFeed Feed { get; } = new();

    public ServiceStatus Status
    {
        get
        {
            var statuses = _parts.Select(static p => p.Status).ToList();
            return new ServiceStatus
            {
                ServiceName = _serviceName,
                Cluster = statuses[0].Cluster,
                Prefix = string.Join(", ", statuses.Select(static s => s.Prefix)),
                IsReady = Feed.Current is not null,
                IsConnected = statuses.TrueForAll(static s => s.IsConnected),
                Revision = statuses.Min(static s => s.Revision),
                Age = statuses.Exists(static s => s.Age is null) ? null : statuses.Max(static s => s.Age),
                SkippedRecords = statuses.Sum(static s => s.SkippedRecords),
                LastError = statuses.Select(static s => s.LastError).FirstOrDefault(static e => e is not null),
            };
        }
    }

    public async ValueTask<ServiceSnapshot> WaitForReadyAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        if (Feed.Current is { } ready)
        {
            return ready;
        }

        // Whichever comes first: a part that has instances, or all parts. Where one cannot be listed, its message says why.
        using var done = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var first = Feed.WaitForFirstAsync(done.Token).AsTask();
        var all = Task.WhenAll(_parts.Select(part => part.WaitForReadyAsync(limit, done.Token).AsTask()));
        await Task.WhenAny(first, all).ConfigureAwait(false);
        try
        {
            if (Feed.Current is null)
            {
                await all.ConfigureAwait(false);
            }

            return Feed.Current ?? await first.ConfigureAwait(false);
        }
        catch (ServiceDiscoveryException) when (Feed.Current is not null)
        {
            return Feed.Current;
        }
        finally
        {
            await done.CancelAsync().ConfigureAwait(false);
            await ((Task)all).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await ((Task)first).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var part in _parts)
        {
            await part.DisposeAsync().ConfigureAwait(false);
            part.Feed.Published -= OnPublished;
        }

        Feed.Close();
    }

    private void OnPublished(ServiceSnapshot changed)
    {
        lock (_gate)
        {
            var snapshots = _parts.Select(static p => p.Feed.Current).ToList();
            var known = snapshots.OfType<ServiceSnapshot>().ToList();
            var present = Combine(known);
            if (known.Count < _parts.Count && present.IsEmpty && Feed.Current is null)
            {
                // Nobody must take a service for empty before all of its places were looked at.
                return;
            }

            Remember(snapshots);
            Feed.Publish(new ServiceSnapshot(_serviceName, present, FindHeld(snapshots, present))
            {
                Prefix = string.Join(", ", _parts.Select(static p => p.Status.Prefix)),
                Revision = known.Max(static s => s.Revision),
                Reason = changed.Reason,
                PublishedAt = _time.GetUtcNow(),
            });
        }
    }

    private static ImmutableDictionary<string, ServiceInstance> Combine(List<ServiceSnapshot> snapshots)
    {
        var combined = snapshots.Count == 0
            ? ImmutableDictionary.CreateBuilder<string, ServiceInstance>(StringComparer.Ordinal) : snapshots[0].Present.ToBuilder();
        foreach (var (address, instance) in snapshots.Skip(1).SelectMany(static s => s.Present))
        {
            if (!combined.TryGetValue(address, out var present) || RecordPrecedence.Replaces(instance, present))
            {
                combined[address] = instance;
            }
        }

        return combined.ToImmutable();
    }

    /// <summary>What is held by every part that had it: an instance that drained in one layout is gone, whatever another cannot say.</summary>
    private ImmutableDictionary<string, ServiceInstance> FindHeld(
        List<ServiceSnapshot?> snapshots, ImmutableDictionary<string, ServiceInstance> present)
    {
        var held = ImmutableDictionary.CreateBuilder<string, ServiceInstance>(StringComparer.Ordinal);
        foreach (var (address, instance) in snapshots.OfType<ServiceSnapshot>().SelectMany(static s => s.Held))
        {
            var isHeld = !present.ContainsKey(address)
                && Enumerable.Range(0, snapshots.Count).All(i => !_seen[i].Contains(address) || snapshots[i]!.Held.ContainsKey(address));
            if (isHeld)
            {
                held.TryAdd(address, instance);
            }
        }

        return held.ToImmutable();
    }

    private void Remember(List<ServiceSnapshot?> snapshots)
    {
        var known = snapshots.OfType<ServiceSnapshot>().ToList();
        for (var i = 0; i < snapshots.Count; i++)
        {
            _seen[i].RemoveWhere(address => known.TrueForAll(s => !s.Present.ContainsKey(address) && !s.Held.ContainsKey(address)));
            if (snapshots[i] is { } snapshot)
            {
                _seen[i].UnionWith(snapshot.Present.Keys);
            }
        }
    }
}
