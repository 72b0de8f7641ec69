using Discovery.Etcd.Connections;

namespace Discovery.Etcd.Calls;

/// <summary>What an operation has tried so far.</summary>
internal sealed class AttemptHistory
{
    private readonly List<(EtcdEndpoint Endpoint, CallFailedException Failure)> _failures = [];
    private readonly HashSet<EtcdEndpoint> _tried = [];

    /// <summary>The endpoints tried in the present round through all of them.</summary>
    public IReadOnlyCollection<EtcdEndpoint> Tried => _tried;

    public IReadOnlyList<(EtcdEndpoint Endpoint, CallFailedException Failure)> Failures => _failures;

    /// <summary>How many times all endpoints failed in turn.</summary>
    public int Rounds { get; private set; }

    /// <summary>Adds a failure.</summary>
    public void Add(EtcdEndpoint endpoint, CallFailedException failure)
    {
        _failures.Add((endpoint, failure));
        _tried.Add(endpoint);
    }

    /// <summary>All endpoints were tried; they count again.</summary>
    public void EndRound()
    {
        _tried.Clear();
        Rounds++;
    }
}
