namespace Discovery.Etcd.Connections;

/// <summary>What is known of the cluster that an endpoint belongs to. Written under the lock of <see cref="ClusterIdentity"/>, read without.</summary>
internal sealed class EndpointCluster
{
    private ulong _id;
    private long _foreignUntil;

    /// <summary>The cluster's id by the endpoint's latest answer; 0 while none is known.</summary>
    public ulong Id => Volatile.Read(ref _id);

    /// <summary>Whether the endpoint belongs to another cluster than the client, as far as is known at this moment.</summary>
    public bool IsForeignAt(long timestamp) => timestamp < Volatile.Read(ref _foreignUntil);

    public void Belongs(ulong id)
    {
        Volatile.Write(ref _id, id);
        Volatile.Write(ref _foreignUntil, 0);
    }

    public void BelongsElsewhere(ulong id, long until)
    {
        Volatile.Write(ref _id, id);
        Volatile.Write(ref _foreignUntil, until);
    }

    /// <summary>It has to be asked.</summary>
    public void Forget() => Belongs(0);
}
