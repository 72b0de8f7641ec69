using Discovery.AspNetCore.Balancing.Steps;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing;

/// <summary>
/// Makes each balancer from the one before and what changed: what <see cref="BalancerBuilder"/> would build from all instances, at a cost that does
/// not depend on how many there are. Knows no zones, which the whole has a part in. Used by one thread at a time.
/// </summary>
internal sealed class BalancerUpdater
{
    private readonly InstanceContext _context;
    private readonly IBalancingPolicy _policy;
    private readonly Func<InstanceState, bool> _isMember;
    private readonly InstanceList.Builder _inUse;
    private readonly InstanceList.Builder _withdrawn;

    /// <summary>Chooses among those that take new calls; null where all of them are used.</summary>
    private readonly SubsetWindow? _subset;

    private HashSet<InstanceState> _ejected = [];
    private InstancePicker? _picker;

    /// <summary>Begins without changes.</summary>
    /// <param name="instances">The instances among which the members are.</param>
    /// <param name="isMember">Whether an instance may be called at all, as it is now.</param>
    /// <param name="context">What the instances share.</param>
    /// <param name="policy">The policy.</param>
    public BalancerUpdater(InstanceList instances, Func<InstanceState, bool> isMember, InstanceContext context, IBalancingPolicy policy)
    {
        _context = context;
        _policy = policy;
        _isMember = isMember;
        var members = instances.Where(isMember).ToList();
        _subset = context.Options.SubsetSize > 0 ? new SubsetWindow(context.Options.SubsetSize, context.Options.ClientId ?? Environment.MachineName) : null;
        _inUse = new InstanceList.Builder(InUseOf(members.FindAll(static i => i.Record.TakesNewCalls)));
        _withdrawn = new InstanceList.Builder(members.FindAll(static i => !i.Record.TakesNewCalls));
    }

    /// <summary>Whether balancers can be made in this way under these options.</summary>
    public static bool Supports(BalancingOptions options) => options.Zone is null;

    /// <summary>Makes the next balancer, and reports who is ejected by it.</summary>
    /// <param name="changes">All that changed since the last time.</param>
    /// <param name="unsettled">All that are ejected or start slowly, and possibly others.</param>
    /// <param name="now">The time.</param>
    /// <returns>Null if there is no member.</returns>
    public Balancer? Update(IReadOnlyList<InstanceChange> changes, IReadOnlyCollection<InstanceState> unsettled, long now)
    {
        List<InstanceChange> changed = _subset is null ? [.. changes] : [.. changes.Where(c => _subset.IsChosen(c.Instance))];
        foreach (var (instance, _) in changes)
        {
            Place(instance);
        }

        MoveSubset(changed);

        List<InstanceState> failing = [.. unsettled.Where(i => i.Health.WantsEjection(now) && (_inUse.Contains(i) || _ejected.Contains(i)))];
        var nextChange = HealthFilter.NextChange(failing, _context, now);
        var ejected = Eject(failing, changed);
        var inUse = _inUse.ToList();
        var withdrawn = _withdrawn.ToList();
        if (inUse.Count == 0 && ejected.Count == 0)
        {
            _picker = null;
            return withdrawn.Count == 0 ? null : BalancerBuilder.Build(withdrawn, _context, _policy);
        }

        if (changed.Count > 0 || _picker is null)
        {
            _picker = PickerOf(inUse, changed);
        }

        return new Balancer(
            _picker,
            otherZones: null,
            zones: null,
            SlowStart.Of([.. unsettled.Where(_inUse.Contains)], _context, now),
            _subset?.HasOthers == true ? [inUse, InstanceList.Empty, ejected] : [inUse, InstanceList.Empty, ejected, withdrawn],
            nextChange);
    }

    /// <summary>Puts an instance where its record says. Whether it is ejected is decided later, by all that fail.</summary>
    private void Place(InstanceState instance)
    {
        var isMember = _isMember(instance);
        if (isMember && instance.Record.TakesNewCalls)
        {
            _withdrawn.Remove(instance);
            _subset?.Set(instance);
            if (!_ejected.Contains(instance) && _subset?.IsChosen(instance) != false)
            {
                _inUse.Set(instance);
            }

            return;
        }

        _subset?.Remove(instance);
        _inUse.Remove(instance);
        _ejected.Remove(instance);
        if (isMember)
        {
            _withdrawn.Set(instance);
        }
        else
        {
            _withdrawn.Remove(instance);
        }
    }

    /// <summary>The instances to begin with, of those that take new calls.</summary>
    private IReadOnlyCollection<InstanceState> InUseOf(List<InstanceState> serving)
    {
        if (_subset is null)
        {
            return serving;
        }

        serving.ForEach(_subset.Set);
        return _subset.Choose().Added;
    }

    /// <summary>Takes in what the subset has got by the changes, and leaves out what it has lost.</summary>
    private void MoveSubset(List<InstanceChange> changed)
    {
        if (_subset?.Choose() is not var (added, removed))
        {
            return;
        }

        foreach (var instance in removed)
        {
            _inUse.Remove(instance);
            _ejected.Remove(instance);
        }

        foreach (var instance in added)
        {
            _inUse.Set(instance);
        }

        changed.AddRange(added.Concat(removed).Select(static i => new InstanceChange(i, i.Record)));
    }

    /// <summary>Leaves out those that are ejected now, and takes back those that were.</summary>
    private IReadOnlyList<InstanceState> Eject(List<InstanceState> failing, List<InstanceChange> changed)
    {
        if (failing.Count == 0 && _ejected.Count == 0)
        {
            return [];
        }

        var (ejected, spared, limit) = failing.Count == 0 ? ([], [], "") : HealthFilter.Choose(failing, _inUse.Count + _ejected.Count, _context.Options.Ejection);
        var isEjected = ejected.ToHashSet();
        foreach (var instance in _ejected)
        {
            if (!isEjected.Contains(instance))
            {
                _inUse.Set(instance);
                changed.Add(new InstanceChange(instance, instance.Record));
            }
        }

        foreach (var instance in ejected)
        {
            if (!_ejected.Contains(instance))
            {
                _inUse.Remove(instance);
                changed.Add(new InstanceChange(instance, instance.Record));
            }
        }

        _ejected = isEjected;
        _context.Ejections.Report(ejected, spared, limit, _context);
        return ejected;
    }

    private InstancePicker? PickerOf(InstanceList inUse, List<InstanceChange> changed)
    {
        if (inUse.Count == 0)
        {
            return null;
        }

        return _picker is { } before && _policy is IIncrementalPolicy incremental
            ? incremental.CreatePicker(inUse, before, changed)
            : _policy.CreatePicker(inUse);
    }
}
