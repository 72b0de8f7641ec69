using Discovery.AspNetCore.LoadBalancing;

namespace Discovery.Benchmarks.Simulation;

/// <summary>A policy that takes part, with or without ejection around it.</summary>
internal sealed record Contender(string Name, Func<ILoadBalancingPolicy> CreatePolicy, bool WithEjection)
{
    public static IReadOnlyList<Contender> All { get; } =
    [
        new("RoundRobin", () => new RoundRobinPolicy(), WithEjection: false),
        new("least in flight, P2C", () => new LeastInFlightReference(), WithEjection: false),
        new("peak EWMA, P2C", () => new PeakEwmaReference(), WithEjection: false),
        new("LeastLoad, no ejection", () => new LeastLoadPolicy(), WithEjection: false),
        new("LeastLoad", () => new LeastLoadPolicy(), WithEjection: true),
    ];
}

/// <summary>A policy that learns from the ends of calls by itself.</summary>
internal interface ICallObserver
{
    void OnEnded(ServiceEndpoint endpoint, long startedAt, long now);
}
