using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Steps;

/// <summary>
/// Gives an instance that is new, or was just ejected, a part of the calls that the policy would give it: from a tenth upwards. The part
/// is looked up at each call, so that nothing has to be built again while it grows. Of the calls with a key it is always the same keys.
/// A policy that goes by load takes the instance for that much smaller: it would offer an idle one each call.
/// </summary>
internal sealed class SlowStart
{
    private const double LeastPart = 0.1;

    /// <summary>How often the policy is asked again. It may insist on an instance, as that with the fewest calls.</summary>
    private const int MaxPicks = 4;

    /// <summary>In how many steps the load of starting instances is adapted.</summary>
    private const int LoadSteps = 100;

    private readonly InstanceContext _context;
    private readonly double _duration;
    private readonly long _endsAt;
    private readonly InstanceState[] _starting;
    private long _adaptedAt;

    private SlowStart(InstanceContext context, double duration, long endsAt, InstanceState[] starting)
    {
        _context = context;
        _duration = duration;
        _endsAt = endsAt;
        _starting = starting;
    }

    /// <summary>The instances that start slowly.</summary>
    public IReadOnlyList<InstanceState> Starting => _starting;

    /// <summary>Makes what spares those of the instances that start slowly.</summary>
    /// <param name="instances">The instances in use; of those that have not been starting, some may be left out.</param>
    /// <param name="context">What the instances share.</param>
    /// <param name="now">The time.</param>
    /// <returns>Null if no instance starts slowly.</returns>
    public static SlowStart? Of(IReadOnlyCollection<InstanceState> instances, InstanceContext context, long now)
    {
        var duration = context.ToTicks(context.Options.SlowStart);
        var endsAt = long.MinValue;
        List<InstanceState>? starting = null;
        foreach (var instance in instances)
        {
            if (IsStarting(instance, now, duration))
            {
                var startedAt = StartOf(instance);
                (starting ??= []).Add(instance);
                endsAt = Math.Max(endsAt, startedAt > now ? long.MaxValue : startedAt + duration);
            }
            else
            {
                instance.StartPart = 1;
            }
        }

        return starting is null ? null : new SlowStart(context, duration, endsAt, [.. starting]);
    }

    /// <summary>Whether an instance starts slowly, or will when its ejection is over.</summary>
    /// <param name="instance">The instance.</param>
    /// <param name="now">The time.</param>
    /// <param name="duration">How long a start takes, in ticks.</param>
    public static bool IsStarting(InstanceState instance, long now, long duration)
        // Compared like this, since what never started or never ends would overflow.
        => duration > 0 && StartOf(instance) > now - duration;

    public InstanceState? Pick(Balancer balancer, in PickArguments arguments)
    {
        var now = _context.ReadClock();
        Adapt(now);
        var instance = balancer.PickByPolicy(arguments);
        if (now >= _endsAt || instance is null || balancer.GoesByLoad(arguments))
        {
            return instance;
        }

        for (var i = 1; !Accepts(instance, arguments.HashKey, now); i++)
        {
            if (i == MaxPicks)
            {
                return AnyOther(balancer.InUse, now) ?? instance;
            }

            instance = balancer.PickByPolicy(arguments with { Attempt = arguments.Attempt + i }) ?? instance;
        }

        return instance;
    }

    /// <summary>Brings the load of the starting instances up to date, by one call now and then.</summary>
    private void Adapt(long now)
    {
        var adaptedAt = Volatile.Read(ref _adaptedAt);
        if (now >= adaptedAt + (long)(_duration / LoadSteps) && Interlocked.CompareExchange(ref _adaptedAt, now, adaptedAt) == adaptedAt)
        {
            foreach (var instance in _starting)
            {
                instance.StartPart = Math.Min(1, PartOf(instance, now));
            }
        }
    }

    private static long StartOf(InstanceState instance) => Math.Max(instance.JoinedAt ?? long.MinValue, instance.Health.EjectedUntil);

    private bool Accepts(InstanceState instance, string? hashKey, long now)
    {
        // The first call to one that joined opens a connection and has something learnt.
        var part = PartOf(instance, now);
        if (part >= 1 || (instance.IsUntried && hashKey is null))
        {
            return true;
        }

        var position = hashKey is null
            ? FastRandom.Fraction()
            : StableHash.Mix(StableHash.Of(hashKey) ^ instance.KeyHash) * Math.ScaleB(1, -64);
        return position < part;
    }

    private double PartOf(InstanceState instance, long now)
    {
        var startedAt = StartOf(instance);
        return startedAt == long.MinValue ? 1 : LeastPart + ((1 - LeastPart) * Math.Max(0, now - startedAt) / _duration);
    }

    private InstanceState? AnyOther(IReadOnlyList<InstanceState> instances, long now)
    {
        var start = FastRandom.Below(instances.Count);
        for (var i = 0; i < instances.Count; i++)
        {
            var instance = instances[(start + i) % instances.Count];
            if (PartOf(instance, now) >= 1)
            {
                return instance;
            }
        }

        return null;
    }
}
