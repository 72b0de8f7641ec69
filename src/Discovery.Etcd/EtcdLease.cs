namespace Discovery.Etcd;

/// <summary>A lease as etcd granted it.</summary>
/// <param name="Id">The lease's id.</param>
/// <param name="TimeToLive">The granted time to live, which may be longer than what was asked for.</param>
public sealed record EtcdLease(long Id, TimeSpan TimeToLive);
