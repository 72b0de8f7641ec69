using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Pools;

/// <summary>
/// Makes the balancers of each snapshot from those before and what changed, where the settings allow it. One that was built from all instances is
/// followed from the next change on: the kinds of calls that all instances fit by one updater together, every other kind by its own. Used by one
/// thread at a time.
/// </summary>
internal sealed class BalancerUpdates(InstanceContext context)
{
    /// <summary>The kind that stands for all that every selected instance fits. Its bit says that an instance is selected.</summary>
    private static readonly int Any = BalancerSet.Kinds;

    private readonly BalancerUpdater?[] _updaters = new BalancerUpdater?[BalancerSet.Kinds + 1];

    /// <summary>How many instances fit each kind.</summary>
    private readonly int[] _fitting = new int[BalancerSet.Kinds + 1];

    /// <summary>What kinds each instance was counted for, a bit for each; null if none was.</summary>
    private Dictionary<InstanceState, int>? _kinds;

    /// <summary>The instances that are selected, where only some are.</summary>
    private InstanceList.Builder? _selected;

    /// <summary>Makes the next balancers.</summary>
    /// <param name="callable">The instances that may be called.</param>
    /// <param name="changes">What changed since the last time; null if everything may have.</param>
    /// <param name="unsettled">All that are ejected or start slowly, and possibly others.</param>
    /// <param name="options">Which instances are selected, and how calls are split.</param>
    /// <param name="policy">The policy.</param>
    /// <param name="build">Builds a balancer from all of its instances.</param>
    /// <param name="before">The balancers before, whose kinds of calls are likely to come again.</param>
    /// <param name="now">The time.</param>
    public BalancerSet Next(
        InstanceList callable,
        IReadOnlyList<InstanceChange>? changes,
        IReadOnlyCollection<InstanceState> unsettled,
        EtcdDiscoveryOptions options,
        IBalancingPolicy policy,
        Func<IReadOnlyList<InstanceState>, Balancer> build,
        BalancerSet? before,
        long now)
    {
        if (changes is null || before is null || !BalancerUpdater.Supports(options))
        {
            return BuildAll(callable, options, build, before);
        }

        Count(callable, changes, options);
        var set = new BalancerSet(_selected?.ToList() ?? callable, options, build);
        var balancers = new Balancer?[_updaters.Length];
        var isUpdated = new bool[_updaters.Length];
        var called = before.Called;
        for (var kind = 0; kind < BalancerSet.Kinds; kind++)
        {
            if ((called & (1 << kind)) == 0)
            {
                continue;
            }

            if (_fitting[kind] == 0)
            {
                // Those that refused this kind of calls may yet be called.
                set.Build(kind);
            }
            else
            {
                set.Set(kind, Update(kind));
            }
        }

        if (called == 0 && BalancerSet.FirstKinds(options.Scheme).Where(k => _fitting[k] > 0).Take(1).ToArray() is [var first])
        {
            set.SetFirst(first, Update(first));
        }

        for (var group = 0; group < isUpdated.Length; group++)
        {
            if (!isUpdated[group])
            {
                // It has missed a change.
                _updaters[group] = null;
            }
        }

        return set;

        Balancer? Update(int kind)
        {
            var group = _fitting[kind] == _fitting[Any] ? Any : kind;
            if (!isUpdated[group])
            {
                isUpdated[group] = true;
                _updaters[group] ??= new BalancerUpdater(callable, i => (_kinds!.GetValueOrDefault(i) & (1 << group)) != 0, context, policy);
                balancers[group] = _updaters[group]!.Update(changes, unsettled, now);
            }

            return balancers[group];
        }
    }

    private BalancerSet BuildAll(
        InstanceList callable, EtcdDiscoveryOptions options, Func<IReadOnlyList<InstanceState>, Balancer> build, BalancerSet? before)
    {
        Array.Clear(_updaters);
        _kinds = null;
        _selected = null;
        var set = new BalancerSet(
            options.Select.IsEmpty ? callable : InstanceList.Of([.. callable.Where(i => options.Select.Fits(i.Record))]), options, build);
        var called = before?.Called ?? 0;
        for (var kind = 0; kind < BalancerSet.Kinds; kind++)
        {
            if ((called & (1 << kind)) != 0)
            {
                set.Build(kind);
            }
        }

        if (called == 0)
        {
            set.BuildFirst(options.Scheme);
        }

        return set;
    }

    /// <summary>Brings up to date which kinds of calls each instance fits, and how many fit each.</summary>
    private void Count(InstanceList callable, IReadOnlyList<InstanceChange> changes, EtcdDiscoveryOptions options)
    {
        if (_kinds is null)
        {
            _kinds = new Dictionary<InstanceState, int>(callable.Count);
            Array.Clear(_fitting);
            _selected = options.Select.IsEmpty ? null : new InstanceList.Builder([]);
            foreach (var instance in callable)
            {
                Count(instance, KindsOf(instance, options));
            }

            return;
        }

        foreach (var (instance, _) in changes)
        {
            Count(instance, callable.Contains(instance) ? KindsOf(instance, options) : 0);
        }
    }

    private void Count(InstanceState instance, int kinds)
    {
        var before = _kinds!.GetValueOrDefault(instance);
        for (var kind = 0; kind < _fitting.Length; kind++)
        {
            _fitting[kind] += ((kinds >> kind) & 1) - ((before >> kind) & 1);
        }

        if (kinds == 0)
        {
            _kinds!.Remove(instance);
            _selected?.Remove(instance);
        }
        else
        {
            _kinds![instance] = kinds;
            _selected?.Set(instance);
        }
    }

    private static int KindsOf(InstanceState instance, EtcdDiscoveryOptions options)
    {
        if (!options.Select.IsEmpty && !options.Select.Fits(instance.Record))
        {
            return 0;
        }

        var kinds = 1 << Any;
        for (var kind = 0; kind < BalancerSet.Kinds; kind++)
        {
            kinds |= BalancerSet.Fits(instance, kind) ? 1 << kind : 0;
        }

        return kinds;
    }
}
