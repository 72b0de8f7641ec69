using System.Collections.Immutable;

namespace Discovery.AspNetCore.Directory;

/// <summary>
/// Keeps instances that vanished together. One instance that goes without saying that it drains has crashed; when most of a service
/// goes within moments, it is far likelier that something happened to the records than to the instances: leases revoked by mistake, a
/// restore from an old backup, a deleted prefix. They are then kept for a while, and callers find out which of them still work.
/// </summary>
internal sealed class HoldDown(TimeSpan duration, TimeProvider time)
{
    /// <summary>Leases that end together need not end in the same second: etcd revokes expired ones in batches, twice a second.</summary>
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(10);

    private readonly Dictionary<string, Missing> _missing = new(StringComparer.Ordinal);

    /// <summary>The instances that are held, by address.</summary>
    public ImmutableDictionary<string, ServiceInstance> Held { get; private set; } =
        ImmutableDictionary.Create<string, ServiceInstance>(StringComparer.Ordinal);

    /// <summary>When held instances are let go next, or null.</summary>
    public TimeSpan? NextRelease
    {
        get
        {
            if (Held.IsEmpty)
            {
                return null;
            }

            var remaining = _missing.Values.Where(m => Held.ContainsKey(m.Instance.Address)).Min(m => duration - time.GetElapsedTime(m.Since));
            return remaining > TimeSpan.Zero ? remaining : TimeSpan.Zero;
        }
    }

    /// <summary>Takes in what vanished and decides anew what is held.</summary>
    /// <param name="vanished">The instances that vanished, as they last were.</param>
    /// <param name="present">The instances that stand in etcd.</param>
    /// <returns>How many more are held than before; negative when some were let go or came back.</returns>
    public int Update(IReadOnlyCollection<ServiceInstance> vanished, ImmutableDictionary<string, ServiceInstance> present)
    {
        var before = Held.Count;
        var now = time.GetTimestamp();
        var someVanished = false;
        foreach (var instance in vanished)
        {
            if (!instance.IsDraining && duration > TimeSpan.Zero && !present.ContainsKey(instance.Address))
            {
                _missing[instance.Address] = new Missing(instance, now);
                someVanished = true;
            }
        }

        if (_missing.Count == 0)
        {
            return 0;
        }

        foreach (var (address, missing) in _missing)
        {
            var age = time.GetElapsedTime(missing.Since, now);
            if (present.ContainsKey(address) || age >= duration || (age >= Window && !Held.ContainsKey(address)))
            {
                _missing.Remove(address);
                Held = Held.Remove(address);
            }
        }

        // Judged only when instances vanish: one that crashed a while ago does not come back because the others now drain.
        if (someVanished && _missing.Count > present.Count)
        {
            Held = Held.SetItems(_missing.Select(static m => KeyValuePair.Create(m.Key, m.Value.Instance)));
        }

        return Held.Count - before;
    }

    private sealed record Missing(ServiceInstance Instance, long Since);
}
