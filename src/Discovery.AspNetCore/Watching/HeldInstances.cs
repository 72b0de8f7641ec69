using System.Collections.Immutable;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// Retains stale instances that vanished together. One instance that goes without saying that it drains has crashed; when most of a service
/// goes within moments, it is far likelier that something happened to the records than to the instances: leases revoked by mistake, a
/// restore from an old backup, a deleted prefix. They are then held for a while, and callers find out which of them still work.
/// A change costs work for the instances it touches, however many are held.
/// </summary>
internal sealed class HeldInstances(TimeSpan duration, TimeProvider time)
{
    /// <summary>Leases that end together need not end in the same second: etcd revokes expired ones in batches, twice a second.</summary>
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(10);

    /// <summary>When each missing instance vanished, by address; those that are held and those that are only remembered.</summary>
    private readonly Dictionary<string, long> _since = new(StringComparer.Ordinal);

    // Both in the order of time. Entries of instances that came back are skipped when their turn comes.
    private readonly Queue<Missing> _remembered = new();
    private readonly Queue<Missing> _held = new();

    /// <summary>The instances that are held, by their addresses.</summary>
    public ImmutableDictionary<string, ServiceInstance> ByAddress { get; private set; } =
        ImmutableDictionary.Create<string, ServiceInstance>(StringComparer.Ordinal);

    /// <summary>The addresses that came to be held, or are no longer, since this was last emptied.</summary>
    public List<string> Changed { get; } = [];

    /// <summary>How long until held instances are released next; null when none are held.</summary>
    public TimeSpan? NextRelease
    {
        get
        {
            if (ByAddress.IsEmpty || !_held.TryPeek(out var next))
            {
                return null;
            }

            var remaining = duration - time.GetElapsedTime(next.Since);
            return remaining > TimeSpan.Zero ? remaining : TimeSpan.Zero;
        }
    }

    /// <summary>Applies a change and decides anew what is held.</summary>
    /// <param name="vanished">The instances that vanished, as they last were.</param>
    /// <param name="appeared">The addresses that appeared.</param>
    /// <param name="present">The instances that stand in etcd.</param>
    public void Update(
        IEnumerable<ServiceInstance> vanished, IEnumerable<string> appeared, ImmutableDictionary<string, ServiceInstance> present)
    {
        foreach (var address in _since.Count > 0 ? appeared : [])
        {
            if (present.ContainsKey(address))
            {
                Release(address);
            }
        }

        var now = time.GetTimestamp();
        var someVanished = false;
        foreach (var instance in vanished)
        {
            if (!instance.IsDraining && duration > TimeSpan.Zero && !present.ContainsKey(instance.Address))
            {
                _since[instance.Address] = now;
                _remembered.Enqueue(new Missing(instance.Address, instance, now));
                someVanished = true;
            }
        }

        Expire(_remembered, Window, now);
        Expire(_held, duration, now);

        // Decided only when instances vanish: one that crashed a while ago does not come back because the others now drain.
        if (someVanished && _since.Count > present.Count)
        {
            while (_remembered.TryDequeue(out var missing))
            {
                if (IsCurrent(missing))
                {
                    _held.Enqueue(missing);
                    ByAddress = ByAddress.SetItem(missing.Address, missing.Instance);
                    Changed.Add(missing.Address);
                }
            }
        }
    }

    private void Expire(Queue<Missing> queue, TimeSpan limit, long now)
    {
        while (queue.TryPeek(out var missing))
        {
            if (IsCurrent(missing))
            {
                if (time.GetElapsedTime(missing.Since, now) < limit)
                {
                    return;
                }

                Release(missing.Address);
            }

            queue.Dequeue();
        }
    }

    private bool IsCurrent(Missing missing) => _since.TryGetValue(missing.Address, out var since) && since == missing.Since;

    private void Release(string address)
    {
        if (_since.Remove(address))
        {
            ByAddress = ByAddress.Remove(address);
            Changed.Add(address);
        }
    }

    private readonly record struct Missing(string Address, ServiceInstance Instance, long Since);
}
