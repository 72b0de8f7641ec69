using Discovery.AspNetCore;
using Discovery.AspNetCore.Instances;

namespace Discovery.Benchmarks.Simulation;

/// <summary>
/// A server with a bounded number of workers and a queue. Drops queued calls whose callers gave up, as HTTP/2 resets allow.
/// </summary>
internal sealed class SimulatedServer(ServerModel model, Random random, Action<SimulatedCall, double> finishAfter)
{
    private const double FailsAfter = 0.0005;

    private readonly Queue<SimulatedCall> _queue = new();
    private int _working;

    public ServerModel Model => model;

    /// <summary>How many counted calls it got.</summary>
    public int Calls { get; private set; }

    /// <summary>How many calls it has.</summary>
    public int InFlight => _working + _queue.Count;

    public void Accept(SimulatedCall call, double now)
    {
        Calls += call.IsCounted ? 1 : 0;
        if (model.Fails(random, now))
        {
            call.IsFailure = true;
            finishAfter(call, FailsAfter);
        }
        else if (_working < model.Workers)
        {
            Work(call, now);
        }
        else
        {
            _queue.Enqueue(call);
        }
    }

    public void OnFinished(SimulatedCall call, double now)
    {
        if (call.IsFailure)
        {
            return;
        }

        _working--;
        while (_queue.TryDequeue(out var next))
        {
            if (!next.IsOver)
            {
                Work(next, now);
                return;
            }
        }
    }

    private void Work(SimulatedCall call, double now)
    {
        _working++;
        finishAfter(call, model.ServiceTime(random, now));
    }
}

/// <summary>A call under way.</summary>
internal sealed class SimulatedCall(
    InstanceState instance, SimulatedClient client, SimulatedServer server, long startedAt, bool isCounted)
{
    public InstanceState Instance => instance;

    public SimulatedClient Client => client;

    public SimulatedServer Server => server;

    public long StartedAt => startedAt;

    /// <summary>What the instance gave at the start, to end the call with.</summary>
    public CallProgress Progress { get; init; }

    /// <summary>What its caller does next.</summary>
    public Action? OnEnded { get; init; }

    public bool IsCounted => isCounted;

    public bool IsFailure { get; set; }

    /// <summary>Whether the caller has its answer, or gave up.</summary>
    public bool IsOver { get; set; }
}
