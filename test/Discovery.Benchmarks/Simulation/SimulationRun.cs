using Discovery.AspNetCore.Instances;

namespace Discovery.Benchmarks.Simulation;

/// <summary>One scenario with one contender and one seed: an event queue under a simulated clock, repeatable to the last call.</summary>
internal sealed class SimulationRun
{
    private readonly Scenario _scenario;
    private readonly Contender _contender;
    private readonly SimulatedClock _clock = new();
    private readonly PriorityQueue<Action, long> _events = new();
    private readonly Random _arrivals;
    private readonly Random _work;
    private readonly List<SimulatedServer> _servers = [];
    private readonly List<SimulatedClient> _clients = [];
    private readonly SimulationResult _result = new();
    private readonly long _origin;

    private SimulationRun(Scenario scenario, Contender contender, int seed)
    {
        _scenario = scenario;
        _contender = contender;
        _origin = _clock.Now;
        _arrivals = new Random(seed);
        _work = new Random(seed + 1_000_000);
        FastRandom.Seed((ulong)seed);
    }

    private double Now => (_clock.Now - _origin) / (double)SimulatedClock.Second;

    public static SimulationResult Execute(Scenario scenario, Contender contender, int seed)
        => new SimulationRun(scenario, contender, seed).Execute();

    private SimulationResult Execute()
    {
        for (var i = 0; i < _scenario.Clients; i++)
        {
            _clients.Add(new SimulatedClient(_clock, _contender));
        }

        foreach (var model in _scenario.Servers)
        {
            AddServer(model, isJoining: false);
        }

        if (_scenario.Joiner is { } joiner)
        {
            After(_scenario.JoinAt, () => AddServer(joiner, isJoining: true));
        }

        if (_scenario.Callers == 0)
        {
            ScheduleArrival();
        }

        for (var i = 0; i < _scenario.Callers; i++)
        {
            // Callers do not march in step.
            After(i / _scenario.Rate, CallInTurn);
        }

        while (_events.TryDequeue(out var happen, out var at))
        {
            _clock.Now = at;
            happen();
        }

        _result.SetCalls([.. _servers.Select(s => s.Calls / s.Model.Capacity)]);
        return _result;
    }

    private void AddServer(ServerModel model, bool isJoining)
    {
        var server = new SimulatedServer(model, _work, (call, seconds) => After(seconds, () => Finish(call)));
        _servers.Add(server);
        foreach (var client in _clients)
        {
            client.Add(server, isJoining);
        }
    }

    private void ScheduleArrival() => After(-Math.Log(1 - _arrivals.NextDouble()) / _scenario.Rate, Arrive);

    private void Arrive()
    {
        if (Now > _scenario.Duration)
        {
            return;
        }

        ScheduleArrival();
        Send(onEnded: null);
    }

    /// <summary>One caller's call, and its next when that is due and this one has ended.</summary>
    private void CallInTurn()
    {
        if (Now > _scenario.Duration)
        {
            return;
        }

        var next = Now + (_scenario.Callers / _scenario.Rate);
        Send(() => After(Math.Max(0, next - Now), CallInTurn));
    }

    private void Send(Action? onEnded)
    {
        var client = _clients[_arrivals.Next(_clients.Count)];
        var (instance, server) = client.Pick();
        var call = new SimulatedCall(instance, client, server, _clock.Now, Now >= _scenario.CountFrom)
        {
            Progress = instance.OnCallStarted(),
            OnEnded = onEnded,
        };
        After(_scenario.Limit, () => GiveUp(call));
        server.Accept(call, Now);
    }

    private void Finish(SimulatedCall call)
    {
        call.Server.OnFinished(call, Now);
        if (call.IsOver)
        {
            return;
        }

        var progress = call.IsFailure ? call.Progress : call.Instance.OnHeaders(call.Progress);
        if (_contender.WithReports && !call.IsFailure)
        {
            call.Client.OnReported(call.Instance, call.Server.InFlight);
        }

        End(call, progress, call.IsFailure ? CallOutcome.Failure : CallOutcome.Success);
    }

    private void GiveUp(SimulatedCall call)
    {
        if (!call.IsOver)
        {
            End(call, call.Progress, CallOutcome.Cancelled);
        }
    }

    private void End(SimulatedCall call, CallProgress progress, CallOutcome outcome)
    {
        call.IsOver = true;
        call.Instance.OnCallEnded(progress, outcome);
        call.Client.OnEnded(call.Instance, call.StartedAt);
        call.OnEnded?.Invoke();
        if (call.IsCounted)
        {
            _result.Add(outcome, (_clock.Now - call.StartedAt) / (double)SimulatedClock.Second);
        }
    }

    private void After(double seconds, Action happen) => _events.Enqueue(happen, _clock.Now + (long)(seconds * SimulatedClock.Second));
}
