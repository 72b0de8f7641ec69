using Discovery.Etcd.Transport;

namespace Discovery.Etcd.Connections;

/// <summary>What an operation has tried so far.</summary>
internal sealed class AttemptLog
{
    private readonly List<(EtcdEndpoint Endpoint, GrpcException Failure)> _attempts = [];
    private readonly HashSet<EtcdEndpoint> _tried = [];

    /// <summary>The endpoints tried in the present round through all of them.</summary>
    public IReadOnlyCollection<EtcdEndpoint> Tried => _tried;

    public IReadOnlyList<(EtcdEndpoint Endpoint, GrpcException Failure)> Attempts => _attempts;

    /// <summary>Whether an attempt got no answer.</summary>
    public bool HasSilence { get; private set; }

    /// <summary>How many times all endpoints failed in turn.</summary>
    public int Rounds { get; private set; }

    /// <summary>Notes a failure.</summary>
    /// <returns>Whether it completed a round.</returns>
    public bool Add(EtcdEndpoint endpoint, GrpcException failure, int endpoints)
    {
        _attempts.Add((endpoint, failure));
        _tried.Add(endpoint);
        HasSilence |= failure.Kind == GrpcFailureKind.Silence;
        if (_tried.Count < endpoints)
        {
            return false;
        }

        _tried.Clear();
        Rounds++;
        return true;
    }
}
