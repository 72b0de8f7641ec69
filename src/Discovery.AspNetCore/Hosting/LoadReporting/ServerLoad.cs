using Discovery.AspNetCore.Instances;
using Discovery.AspNetCore.LoadReports;

namespace Discovery.AspNetCore.Hosting.LoadReporting;

/// <summary>The load of this server: what it has in flight, and what it did in the last second. Thread-safe.</summary>
/// <param name="time">The clock.</param>
internal sealed class ServerLoad(TimeProvider time)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    /// <summary>
    /// What goes on for longer than one to two of these is no load: subscriptions, of which an instance may have more than others. Longer than clients
    /// have it, for a server that computes an answer for seconds has that to do.
    /// </summary>
    private static readonly TimeSpan LastingPeriod = TimeSpan.FromSeconds(10);

    private readonly double _lastingPeriod = LastingPeriod.TotalSeconds * time.TimestampFrequency;

    private Measured _measured = new(time.GetTimestamp(), Environment.CpuUsage.TotalTime, 0, 0, new LoadReport());
    private int _inFlight;
    private LastingCalls _lasting;
    private long _answered;
    private long _failed;

    /// <summary>A call begins.</summary>
    /// <returns>What to give to <see cref="OnEnded"/>.</returns>
    public long OnStarted()
    {
        var now = time.GetTimestamp();
        _lasting.Advance(now, Interlocked.Increment(ref _inFlight) - 1, _lastingPeriod);
        return now;
    }

    /// <summary>A call is over.</summary>
    /// <param name="startedAt">The result of <see cref="OnStarted"/>.</param>
    /// <param name="isFailure">Whether it failed.</param>
    public void OnEnded(long startedAt, bool isFailure)
    {
        Interlocked.Decrement(ref _inFlight);
        _lasting.OnEnded(startedAt);
        Interlocked.Increment(ref _answered);
        if (isFailure)
        {
            Interlocked.Increment(ref _failed);
        }
    }

    /// <summary>The report to go with the answer to a call that is in flight.</summary>
    public string Report()
    {
        var before = Volatile.Read(ref _measured);
        var now = time.GetTimestamp();
        var elapsed = time.GetElapsedTime(before.At, now);
        if (elapsed >= Period && Interlocked.CompareExchange(ref _measured, Measure(before, now, elapsed), before) == before)
        {
            before = Volatile.Read(ref _measured);
        }

        return before.TextFor(Math.Max(0, Volatile.Read(ref _inFlight) - 1 - Math.Max(0, _lasting.Count)));
    }

    private Measured Measure(Measured before, long now, TimeSpan elapsed)
    {
        var (answered, failed, processor) = (Volatile.Read(ref _answered), Volatile.Read(ref _failed), Environment.CpuUsage.TotalTime);
        return new Measured(now, processor, answered, failed, new LoadReport(
            0,
            Math.Clamp((processor - before.Processor) / elapsed / Environment.ProcessorCount, 0, 1),
            (answered - before.Answered) / elapsed.TotalSeconds,
            (failed - before.Failed) / elapsed.TotalSeconds));
    }

    /// <summary>What was measured at a time, and the reports made of it: nearly all answers of a second share a few.</summary>
    private sealed class Measured(long at, TimeSpan processor, long answered, long failed, LoadReport report)
    {
        private readonly string?[] _texts = new string?[64];

        public long At => at;

        public TimeSpan Processor => processor;

        public long Answered => answered;

        public long Failed => failed;

        public string TextFor(int inFlight)
            => inFlight < _texts.Length ? _texts[inFlight] ??= Write(inFlight) : Write(inFlight);

        private string Write(int inFlight) => (report with { InFlight = inFlight }).ToString();
    }
}
