namespace Discovery.Benchmarks.Simulation;

/// <summary>A situation that load balancing must cope with. Times in seconds.</summary>
internal sealed record Scenario(string Name, string Description)
{
    /// <summary>The servers that are there from the start.</summary>
    public required IReadOnlyList<ServerModel> Servers { get; init; }

    /// <summary>A server that joins at <see cref="JoinAt"/>.</summary>
    public ServerModel? Joiner { get; init; }

    public double JoinAt { get; init; }

    /// <summary>
    /// How many callers send the calls, each waiting for its answer before its next call is due. 0: calls arrive at random (a Poisson process).
    /// </summary>
    public int Callers { get; init; }

    /// <summary>Whether each server is to get at least 0.6 of a fair share of the calls that are counted.</summary>
    public bool IsFair { get; init; }

    /// <summary>All clients' calls per second.</summary>
    public required double Rate { get; init; }

    /// <summary>How many clients send them, each knowing only its own calls.</summary>
    public int Clients { get; init; } = 1;

    public double Duration { get; init; } = 60;

    /// <summary>Calls that begin before are not counted: queues need time to fill.</summary>
    public double CountFrom { get; init; }

    /// <summary>After this time the caller gives up.</summary>
    public double Limit { get; init; } = 1;
}

/// <summary>How a server behaves. Times in seconds since the start of the simulation.</summary>
internal sealed record ServerModel
{
    /// <summary>How many calls it works on at once; the others queue.</summary>
    public int Workers { get; init; } = int.MaxValue;

    /// <summary>Its part of the work that all servers can do, relative to the others: what a fair balancer would give it.</summary>
    public double Capacity { get; init; } = 1;

    /// <summary>The time that a call takes that starts now.</summary>
    public required Func<Random, double, double> ServiceTime { get; init; }

    /// <summary>Whether a call that arrives now fails at once.</summary>
    public Func<Random, double, bool> Fails { get; init; } = (_, _) => false;
}
