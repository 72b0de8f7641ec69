using System.Collections.Concurrent;
using Discovery.AspNetCore.Balancing;
using Discovery.AspNetCore.Balancing.Steps;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Pools;

/// <summary>
/// The balancers of one snapshot: by scheme and protocol, and by version where calls ask for one or are split. Each is built by the first call
/// that needs it, or at once where calls needed it before. Calls whose needs all instances meet share one.
/// </summary>
internal sealed class BalancerSet
{
    /// <summary>Keeps the split from falling together with other decisions by the same key.</summary>
    private const ulong SplitSalt = 0xD6E8FEB86659FD93;

    private readonly Func<IReadOnlyList<InstanceState>, Balancer> _build;
    private readonly InstanceList _instances;
    private readonly EjectionOptions _ejection;
    private readonly List<(string Version, double UpTo)> _split = [];
    private readonly Entry?[] _byKind = new Entry?[Kinds];
    private readonly ConcurrentDictionary<(int Kind, string Version), Entry> _byVersion = new();

    /// <summary>Of the versions that have a share, and under null of all others together.</summary>
    private readonly ConcurrentDictionary<(int Kind, string? Version), Entry> _shares = new();
    private Balancer? _all;

    /// <summary>The kind that was built before the first call; null if there was one.</summary>
    private int? _first;

    /// <summary>Prepares the balancers.</summary>
    /// <param name="selected">The instances that may be called and are selected.</param>
    /// <param name="options">How calls are split, and which share of the instances may be ejected.</param>
    /// <param name="build">Builds a balancer.</param>
    public BalancerSet(InstanceList selected, EtcdDiscoveryOptions options, Func<IReadOnlyList<InstanceState>, Balancer> build)
    {
        _build = build;
        _instances = selected;
        _ejection = options.Ejection;
        var upTo = 0.0;
        foreach (var (version, percent) in options.Split.OrderBy(static s => s.Key, StringComparer.Ordinal))
        {
            _split.Add((version, upTo += percent / 100));
        }
    }

    /// <summary>How many kinds of calls there are: by scheme and protocol.</summary>
    public static int Kinds => 2 * 4;

    /// <summary>How many instances are selected, whatever calls they support.</summary>
    public int Count => _instances.Count;

    /// <summary>The versions of the selected instances.</summary>
    public IEnumerable<string> Versions => _instances.Select(static i => i.Record.Version).OfType<string>().Distinct(StringComparer.Ordinal);

    /// <summary>The balancer for a call; null if no instance meets its needs.</summary>
    /// <param name="needs">The needs.</param>
    /// <param name="hashKey">What decides where calls are split.</param>
    public Balancer? For(in CallNeeds needs, string? hashKey)
    {
        var kind = KindOf(needs.Scheme, needs.Protocol);
        if (needs.Version is null && _split.Count == 0)
        {
            return Of(kind).Balancer;
        }

        return needs.Version is { } version ? OfVersion(kind, version) : OfSplit(kind, hashKey);
    }

    /// <summary>The balancer for a call for which nobody is left in its share; null if there is no other.</summary>
    public Balancer? ForAnyShare(in CallNeeds needs)
        => needs.Version is null && _split.Count > 0 ? Of(KindOf(needs.Scheme, needs.Protocol)).Balancer : null;

    /// <summary>
    /// The kinds of calls that came, a bit for each, which are likely to come again; 0 if none did. The kind that was built before the first call counts
    /// only by itself: as soon as others came, it is one that perhaps nobody calls.
    /// </summary>
    public int Called
    {
        get
        {
            var called = 0;
            for (var kind = 0; kind < Kinds; kind++)
            {
                called |= kind != _first && Volatile.Read(ref _byKind[kind]) is not null ? 1 << kind : 0;
            }

            return called;
        }
    }

    /// <summary>Sets the balancer of a kind of calls, before the first call; null if no instance meets their needs.</summary>
    public void Set(int kind, Balancer? balancer) => _byKind[kind] = new Entry(balancer);

    /// <summary>Builds the balancer of a kind of calls from all instances.</summary>
    public void Build(int kind) => _ = Of(kind);

    /// <summary>Builds a balancer before the first call: where the application's own policy throws, that shows.</summary>
    /// <param name="scheme">The scheme of the calls that are likely to come.</param>
    public void BuildFirst(string scheme)
    {
        foreach (var kind in FirstKinds(scheme))
        {
            if (Build(Fitting(_instances, kind)) is { } balancer)
            {
                SetFirst(kind, balancer);
                return;
            }
        }
    }

    /// <summary>Sets what would be built before the first call.</summary>
    public void SetFirst(int kind, Balancer? balancer)
    {
        Set(kind, balancer);
        _first = kind;
    }

    /// <summary>The kinds of which one is built before the first call: by any protocol, and by the other scheme only if nobody supports the one.</summary>
    public static int[] FirstKinds(string scheme)
    {
        var other = scheme == Uri.UriSchemeHttps ? Uri.UriSchemeHttp : Uri.UriSchemeHttps;
        return [KindOf(scheme, InstanceProtocols.Unspecified), KindOf(other, InstanceProtocols.Unspecified)];
    }

    /// <summary>Whether an instance meets the needs of calls of a kind.</summary>
    public static bool Fits(InstanceState instance, int kind) => instance.Record.Supports(SchemeOf(kind)) && Speaks(instance, ProtocolOf(kind));

    /// <summary>Whether an instance supports a call's scheme and speaks its protocol, whatever the version.</summary>
    public static bool Fits(InstanceState instance, in CallNeeds needs) => Fits(instance, KindOf(needs.Scheme, needs.Protocol));

    private static int KindOf(string scheme, InstanceProtocols protocol) => (scheme == Uri.UriSchemeHttps ? 4 : 0) + (int)protocol;

    private static string SchemeOf(int kind) => kind >= 4 ? Uri.UriSchemeHttps : Uri.UriSchemeHttp;

    private static InstanceProtocols ProtocolOf(int kind) => (InstanceProtocols)(kind & 3);

    private Entry Of(int kind) => Volatile.Read(ref _byKind[kind]) ?? Resolve(kind);

    private Entry Resolve(int kind)
    {
        var entry = new Entry(Build(Fitting(_instances, kind)));
        return Interlocked.CompareExchange(ref _byKind[kind], entry, null) ?? entry;
    }

    private Balancer? OfVersion(int kind, string version)
    {
        if (_byVersion.TryGetValue((kind, version), out var entry))
        {
            return entry.Balancer;
        }

        List<InstanceState> fitting = [.. Fitting(_instances, kind).Where(i => i.Record.Version == version)];

        // What nobody has is not remembered: callers can name any number of versions.
        return fitting.Count == 0 ? null : _byVersion.GetOrAdd((kind, version), _ => new Entry(Build(fitting))).Balancer;
    }

    private Balancer? OfSplit(int kind, string? hashKey)
    {
        var position = hashKey is null ? FastRandom.Fraction() : StableHash.Mix(StableHash.Of(hashKey) ^ SplitSalt) * Math.ScaleB(1, -64);
        foreach (var (version, upTo) in _split)
        {
            if (position < upTo)
            {
                return OfShare(kind, version) ?? OfShare(kind, version: null) ?? Of(kind).Balancer;
            }
        }

        return OfShare(kind, version: null) ?? Of(kind).Balancer;
    }

    /// <summary>
    /// Of a version that has a share, or of all that have none; null if that has nobody who is to get calls. Alone in a balancer, instances that drain or
    /// fail would be spared, as there are no others.
    /// </summary>
    private Balancer? OfShare(int kind, string? version)
    {
        if (_shares.TryGetValue((kind, version), out var entry))
        {
            return entry.Balancer;
        }

        var fitting = Fitting(_instances, kind);
        List<InstanceState> members = [.. fitting.Where(i => version is null ? !_split.Exists(s => s.Version == i.Record.Version) : i.Record.Version == version)];
        var ejected = EjectedOf([.. fitting.Where(static i => i.Record.TakesNewCalls)]);
        return _shares.GetOrAdd(
            (kind, version),
            _ => new Entry(!members.Exists(i => i.Record.TakesNewCalls && !ejected.Contains(i)) ? null : version is null ? Build(members) : OfVersion(kind, version)))
            .Balancer;
    }

    /// <summary>Those that are ejected where they all are in one balancer.</summary>
    private HashSet<InstanceState> EjectedOf(List<InstanceState> serving)
        => serving.Count == 0 ? [] : [.. HealthFilter.Split(serving, _ejection, serving[0].Context.ReadClock()).Ejected];

    private static IReadOnlyList<InstanceState> Fitting(InstanceList instances, int kind)
    {
        if (instances.All(i => Fits(i, kind)))
        {
            return instances;
        }

        var fitting = new List<InstanceState>(instances.Count);
        List<InstanceState>? refusing = null;
        foreach (var instance in instances)
        {
            if (Fits(instance, kind))
            {
                fitting.Add(instance);
            }
            else if (instance.Record.Supports(SchemeOf(kind)) && instance.Record.Protocols == InstanceProtocols.Unspecified)
            {
                (refusing ??= []).Add(instance);
            }
        }

        // What was learnt from a refusal may be wrong; what a record says is not.
        return fitting.Count > 0 ? fitting : refusing ?? fitting;
    }

    /// <summary>Whether an instance speaks a protocol, as its record says, or, where that says nothing, as it did not deny.</summary>
    private static bool Speaks(InstanceState instance, InstanceProtocols protocol) => instance.Record.Protocols switch
    {
        _ when protocol == InstanceProtocols.Unspecified => true,
        InstanceProtocols.Unspecified => (instance.RefusedProtocols & protocol) == InstanceProtocols.Unspecified,
        var spoken => (spoken & protocol) != InstanceProtocols.Unspecified,
    };

    private Balancer? Build(IReadOnlyList<InstanceState> fitting)
    {
        if (fitting.Count == 0)
        {
            return null;
        }

        return fitting.Count == _instances.Count ? _all ??= _build(fitting) : _build(fitting);
    }

    private sealed record Entry(Balancer? Balancer);
}
