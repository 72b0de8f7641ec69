using System.Runtime.InteropServices;

namespace Discovery.AspNetCore.Instances;

/// <summary>
/// How many of the calls under way go on for long: streams, uploads, polls. That one is there says next to nothing of what another call would wait for,
/// so that an instance with a subscription more than others is not to lose all calls that come and go.
/// </summary>
/// <remarks>
/// Nothing is kept for a call, and there is no timer. Time is cut into periods, and a call lasts that began before the one that passed last. Both counts
/// are taken anew from all calls under way as a period ends, so that an error made by calls that end at that moment is gone two periods later.
/// </remarks>
[StructLayout(LayoutKind.Auto)]
internal struct LastingCalls
{
    private long _beganAt;
    private long _beganBefore;
    private int _count;
    private int _countNext;

    /// <summary>How many there are; some more or less as a period ends.</summary>
    public readonly int Count => _count;

    /// <summary>Ends the period if it is over.</summary>
    /// <param name="now">The time.</param>
    /// <param name="inFlight">All calls under way.</param>
    /// <param name="period">How long it is. After one to two of them a call is one that goes on for long.</param>
    public void Advance(long now, int inFlight, double period)
    {
        var beganAt = Volatile.Read(ref _beganAt);
        if (now - beganAt >= period
            && Interlocked.CompareExchange(ref _beganAt, now, beganAt) == beganAt)
        {
            Volatile.Write(ref _beganBefore, beganAt);
            Volatile.Write(ref _count, Volatile.Read(ref _countNext));
            Volatile.Write(ref _countNext, inFlight);
        }
    }

    /// <summary>A call is over.</summary>
    /// <param name="startedAt">When it began.</param>
    public void OnEnded(long startedAt)
    {
        if (startedAt < Volatile.Read(ref _beganAt))
        {
            Interlocked.Decrement(ref _countNext);
            if (startedAt < Volatile.Read(ref _beganBefore))
            {
                Interlocked.Decrement(ref _count);
            }
        }
    }
}
