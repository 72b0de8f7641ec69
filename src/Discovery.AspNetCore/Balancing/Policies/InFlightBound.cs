using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Balancing.Policies;

/// <summary>
/// How many calls an instance may have in flight, given what all have. The sum is taken anew every few picks of each thread rather than kept
/// by each call, which would make all calls write to one place.
/// </summary>
internal sealed class InFlightBound(InstanceList instances)
{
    /// <summary>
    /// A sum over n instances serves n/8 picks: about eight reads a pick, and an error of an eighth of a call per instance.
    /// </summary>
    private const int ReadsPerPick = 8;

    [ThreadStatic]
    private static InFlightBound? _current;

    [ThreadStatic]
    private static int _picksLeft;

    /// <summary>
    /// So many calls an instance may always have, for an instance of mean weight. Else few calls in all would leave room for none: with four instances and an event stream, the
    /// key of the stream would have all its other calls at the next instance, and what is cached for it is not there.
    /// </summary>
    private const double LeastRoom = 10;

    private readonly double _bound = instances[0].Context.Options.HashBound;
    private readonly double _weight = instances.TotalWeight;
    private double _perWeight;

    /// <summary>The most calls in flight for each unit of weight, counting the one to come.</summary>
    public double PerWeight()
    {
        // Threads may race for the sum; any of theirs will do.
        if (_current != this || --_picksLeft <= 0)
        {
            _current = this;
            long sum = 0;
            for (var i = 0; i < instances.Chunks; i++)
            {
                foreach (var instance in instances.Chunk(i))
                {
                    sum += instance.InFlight;
                }
            }

            Volatile.Write(ref _perWeight, Math.Max(_bound * (sum + 1), LeastRoom * instances.Count) / _weight);
            _picksLeft = instances.Count / ReadsPerPick;
        }

        return Volatile.Read(ref _perWeight);
    }
}
