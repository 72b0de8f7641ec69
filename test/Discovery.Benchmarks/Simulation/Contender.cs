using Discovery.AspNetCore;
using Discovery.AspNetCore.Balancing.Policies;

namespace Discovery.Benchmarks.Simulation;

/// <summary>A policy that takes part, with or without ejection around it.</summary>
internal sealed record Contender(string Name, Func<IBalancingPolicy> CreatePolicy, bool WithEjection, bool WithReports = false)
{
    public static Contender LeastInFlight { get; } = new("least in flight, P2C", () => new LeastInFlightReference(), WithEjection: false);

    public static Contender PeakEwma { get; } = new("peak EWMA, P2C", () => new PeakEwmaReference(), WithEjection: false);

    /// <summary>The default policy as it is used.</summary>
    public static Contender Default { get; } = new("LeastLoad", () => new LeastLoadPolicy(), WithEjection: true);

    public static Contender DefaultAlone { get; } = new("LeastLoad, no ejection", () => new LeastLoadPolicy(), WithEjection: false);

    /// <summary>The default policy where servers report their load.</summary>
    public static Contender Reported { get; } = new("LeastLoad, reported", () => new LeastLoadPolicy(), WithEjection: true, WithReports: true);

    public static Contender ReportedAlone { get; } = new("LeastLoad, rep., no ej.", () => new LeastLoadPolicy(), WithEjection: false, WithReports: true);

    /// <summary>What else could be made of reports.</summary>
    public static IReadOnlyList<Contender> OtherReported { get; } =
    [
        new("larger of both, aged", () => new AgedReportsReference(), WithEjection: true, WithReports: true),
        new("hot/cold of Prequal", () => new HotColdReference(), WithEjection: true, WithReports: true),
    ];

    public static IReadOnlyList<Contender> All { get; } =
    [
        new("RoundRobin, no ejection", () => new RoundRobinPolicy(), WithEjection: false),
        new("RoundRobin", () => new RoundRobinPolicy(), WithEjection: true),
        new("Random", () => new RandomPolicy(), WithEjection: true),
        LeastInFlight,
        PeakEwma,
        DefaultAlone,
        Default,
        ReportedAlone,
        Reported,
        .. OtherReported,
    ];
}

/// <summary>A policy that learns from the ends of calls by itself.</summary>
internal interface ICallObserver
{
    void OnEnded(InstanceState instance, long startedAt, long now);

    /// <summary>The instance said with an answer how many calls it has.</summary>
    void OnReported(InstanceState instance, int inFlight, long now)
    {
        // Those that know no reports.
    }
}
