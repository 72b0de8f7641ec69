using Discovery.AspNetCore.Instances;

namespace Discovery.Benchmarks.Simulation;

/// <summary>What the callers saw, of one run or of several added up.</summary>
internal sealed class SimulationResult
{
    private readonly List<double> _latencies = [];
    private readonly List<double> _fairness = [];
    private int _calls;
    private bool _isSorted;

    /// <summary>Calls that failed or whose caller gave up.</summary>
    public int Failures { get; private set; }

    /// <summary>The share of calls that got a good answer in time, from 0 to 1.</summary>
    public double Success => 1 - ((double)Failures / _calls);

    /// <summary>Jain's index of calls per capacity: 1 when all servers carry the same, 1/n when one carries all.</summary>
    public double Fairness => _fairness.Average();

    /// <summary>What the server that got the fewest calls got, in any run, relative to its fair share.</summary>
    public double LeastShare { get; private set; } = double.MaxValue;

    public void Add(CallOutcome outcome, double seconds)
    {
        _calls++;
        if (outcome != CallOutcome.Success)
        {
            Failures++;
        }

        // A quick failure is no quick answer; a wait in vain is a wait.
        if (outcome != CallOutcome.Failure)
        {
            _latencies.Add(seconds);
        }
    }

    public void SetCalls(double[] callsPerCapacity)
    {
        _fairness.Add(Math.Pow(callsPerCapacity.Sum(), 2) / (callsPerCapacity.Length * callsPerCapacity.Sum(c => c * c)));
        LeastShare = callsPerCapacity.Min() / callsPerCapacity.Average();
    }

    public void Add(SimulationResult other)
    {
        _calls += other._calls;
        Failures += other.Failures;
        _latencies.AddRange(other._latencies);
        _fairness.AddRange(other._fairness);
        LeastShare = Math.Min(LeastShare, other.LeastShare);
        _isSorted = false;
    }

    /// <summary>The latency in milliseconds that the given part of the calls stayed below.</summary>
    public double Quantile(double part)
    {
        if (!_isSorted)
        {
            _latencies.Sort();
            _isSorted = true;
        }

        return _latencies[(int)Math.Min(_latencies.Count - 1, part * _latencies.Count)] * 1000;
    }
}
