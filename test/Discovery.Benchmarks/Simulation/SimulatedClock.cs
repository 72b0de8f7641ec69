namespace Discovery.Benchmarks.Simulation;

/// <summary>A clock in nanoseconds that the simulation moves from event to event.</summary>
internal sealed class SimulatedClock : TimeProvider
{
    public const long Second = 1_000_000_000;

    private static readonly DateTimeOffset Origin = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Not 0 at start, as no real clock is.</summary>
    public long Now { get; set; } = Second;

    public override long TimestampFrequency => Second;

    public override long GetTimestamp() => Now;

    public override DateTimeOffset GetUtcNow() => Origin.AddTicks(Now / 100);
}
