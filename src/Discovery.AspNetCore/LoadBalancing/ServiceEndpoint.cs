namespace Discovery.AspNetCore;

/// <summary>A service instance as a client sees it: the record, and the live state of the calls made to it.</summary>
public sealed class ServiceEndpoint
{
    private volatile ServiceInstance _instance;
    private int _inFlight;

    internal ServiceEndpoint(ServiceInstance instance) => _instance = instance;

    /// <summary>The record as it stands in etcd.</summary>
    public ServiceInstance Instance => _instance;

    /// <summary>The calls under way, until their response bodies end.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    internal void OnCallStarted() => Interlocked.Increment(ref _inFlight);

    internal void OnCallEnded() => Interlocked.Decrement(ref _inFlight);

    internal void Update(ServiceInstance instance) => _instance = instance;
}
