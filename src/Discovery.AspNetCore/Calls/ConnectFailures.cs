using Discovery.AspNetCore.Connections;

namespace Discovery.AspNetCore.Calls;

/// <summary>The instances that one call could not connect to, and how long it may go on.</summary>
internal sealed class ConnectFailures(EtcdDiscoveryOptions options, TimeProvider time, long startedAt)
{
    private readonly List<InstanceState> _instances = [];
    private bool _isDialled;

    public IReadOnlyList<InstanceState> Instances => _instances;

    /// <summary>The latest failure.</summary>
    public InstanceConnectException? Last { get; private set; }

    /// <summary>Whether another instance may be tried.</summary>
    public bool MayGoOn => _instances.Count < options.MaxConnectAttempts && HasTime(Last!.Transport.ConnectTimeout);

    public void Add(InstanceState instance, InstanceConnectException failure)
    {
        if (!_instances.Contains(instance))
        {
            _instances.Add(instance);
        }

        Last = failure;
        _isDialled |= !failure.IsFailFast;
    }

    /// <summary>
    /// The instance to dial when there is no other: null if one was dialled for this call. Connects that timed out before say that others are to be
    /// preferred, and not that a call without others has to fail.
    /// </summary>
    public InstanceState? TakeUndialled()
    {
        if (_isDialled)
        {
            return null;
        }

        _isDialled = true;
        _instances[0].Transport!.ForgetTimeout();
        return _instances[0];
    }

    private bool HasTime(TimeSpan connectTimeout)
        => connectTimeout == Timeout.InfiniteTimeSpan || time.GetElapsedTime(startedAt) < 2 * connectTimeout;
}
