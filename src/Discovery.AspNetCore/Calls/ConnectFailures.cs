using Discovery.AspNetCore.Connections;

namespace Discovery.AspNetCore.Calls;

/// <summary>The instances that one call could not connect to, and how long it may go on.</summary>
internal sealed class ConnectFailures(EtcdDiscoveryOptions options, TimeProvider time, long startedAt)
{
    private readonly List<InstanceState> _instances = [];

    public IReadOnlyList<InstanceState> Instances => _instances;

    /// <summary>The latest failure.</summary>
    public InstanceConnectException? Last { get; private set; }

    /// <summary>Whether another instance may be tried.</summary>
    public bool MayGoOn => _instances.Count < options.MaxConnectAttempts && time.GetElapsedTime(startedAt) < 2 * options.ConnectTimeout;

    public void Add(InstanceState instance, InstanceConnectException failure)
    {
        _instances.Add(instance);
        Last = failure;
    }
}
