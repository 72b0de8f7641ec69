namespace Discovery.Etcd;

/// <summary>A lease as etcd granted it.</summary>
public sealed record EtcdLease
{
    /// <summary>The lease's id.</summary>
    public required long Id { get; init; }

    /// <summary>The granted time to live, which may be longer than what was asked for.</summary>
    public required TimeSpan TimeToLive { get; init; }
}
