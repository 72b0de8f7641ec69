namespace Discovery.AspNetCore.Instances;

/// <summary>
/// What the instances of a service report of their load with their answers. A client sees only its own calls, so with many clients least load
/// would be little better than chance. One that says with its answer that it has less to do than is usual gets the next call of this client, once. What it
/// reported is fresh then, unlike what some other instance said seconds ago, and no other client was given the same answer.
/// </summary>
/// <remarks>
/// In the simulator (many clients, 0.9 load) this more than halves the 99th percentile of the latency; to compare instances by what they reported
/// last, aged, wins a fifth, and both together no more than this alone. Thread-safe; updates may race, where a lost one costs nothing.
/// </remarks>
internal sealed class ReportedLoad(InstanceContext context)
{
    /// <summary>How many answers are remembered: as many as may come in at once. A power of two.</summary>
    private const int Remembered = 16;

    /// <summary>How many reports the usual load is the average of.</summary>
    private const int Window = 100;

    /// <summary>
    /// How much less than usual is little: half a call. Where instances are idle the usual load is less than that, and chance decides, as equal
    /// instances are to get equal shares.
    /// </summary>
    private const double Margin = 0.5;

    /// <summary>Up to which age a report counts, in usual latencies: a queue is another one after that.</summary>
    private const double MostLatencies = 100;

    /// <summary>
    /// How many calls in a row an instance gets for this reason. Where one server is busy and the others idle, all calls of a single caller would
    /// go to the first idle one that it met.
    /// </summary>
    private const int MostInRow = 3;

    private readonly InstanceState?[] _recent = new InstanceState?[Remembered];
    private int _latest;
    private int _reports;
    private double _usualPerWeight;
    private InstanceState? _taken;
    private int _inRow;

    /// <summary>Whether any instance of the service reports.</summary>
    public bool IsReported => Volatile.Read(ref _reports) > 0;

    /// <summary>An instance said with a good answer how many calls it has in flight, this one left out.</summary>
    public void OnReport(InstanceState instance, double inFlight)
    {
        var perWeight = inFlight / instance.Weight;
        var reports = Math.Min(_reports + 1, Window);
        _reports = reports;
        var usual = Volatile.Read(ref _usualPerWeight);
        Volatile.Write(ref _usualPerWeight, usual + ((perWeight - usual) / reports));
        if (inFlight + Margin <= usual * instance.Weight)
        {
            Volatile.Write(ref _recent[Interlocked.Increment(ref _latest) & (Remembered - 1)], instance);
        }
    }

    /// <summary>Takes the instance that was the last to say that it has little to do, if that is not long ago and still likely.</summary>
    public InstanceState? TryTake()
    {
        var latest = Volatile.Read(ref _latest);
        ref var place = ref _recent[latest & (Remembered - 1)];
        if (Volatile.Read(ref place) is null || Interlocked.Exchange(ref place, null) is not { } instance)
        {
            return null;
        }

        Interlocked.CompareExchange(ref _latest, latest - 1, latest);
        var usual = context.UsualLatency;

        // The coarse time stands still between calls, and their pauses are what matters here.
        var now = context.ReadClock();
        return instance.HasReportedSince(now - (long)(MostLatencies * usual))
            && instance.LatencyAt(now) <= context.EqualBelow(usual)
            && IsTurnOf(instance)
            ? instance
            : null;
    }

    private bool IsTurnOf(InstanceState instance)
    {
        if (_taken != instance)
        {
            (_taken, _inRow) = (instance, 1);
            return true;
        }

        _inRow = _inRow == MostInRow ? 0 : _inRow + 1;
        return _inRow > 0;
    }
}
