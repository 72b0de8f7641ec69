namespace Discovery.Etcd;

/// <summary>
/// Holds one lease and a set of keys on it, for as long as it lives: what was put stands in etcd again after the lease was lost, the
/// process was paused, or somebody deleted a key. Nothing throws because etcd is away; it converges when etcd is back.
/// </summary>
public sealed class EtcdLeaseKeeper : IAsyncDisposable
{
    /// <summary>The lease's present state.</summary>
    public EtcdLeaseStatus Status => throw new NotSupportedException();

    /// <summary>Raised after <see cref="Status"/> changed, never two at a time. Handlers must be quick and not throw.</summary>
    public event Action<EtcdLeaseStatus>? StatusChanged { add => throw new NotSupportedException(); remove => throw new NotSupportedException(); }

    /// <summary>Raised when a key of ours was found in other hands: it hangs on another lease. It is then left alone until put again.</summary>
    public event Action<EtcdKeyValue>? KeyTaken { add => throw new NotSupportedException(); remove => throw new NotSupportedException(); }

    /// <summary>Wants a key to stand in etcd with this value, on the lease. Returns at once.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    public void Put(string key, ReadOnlyMemory<byte> value) => throw new NotSupportedException();

    /// <summary>Wants a key of ours to be gone. It is deleted only if it still hangs on our lease. Returns at once.</summary>
    /// <param name="key">The key.</param>
    public void Remove(string key) => throw new NotSupportedException();

    /// <summary>Waits until etcd holds what is wanted at the time of the call.</summary>
    /// <param name="cancellationToken">Ends the waiting.</param>
    public Task FlushAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Deletes what is ours, revokes the lease and ends. Fails with <see cref="EtcdException"/> when etcd is away: the lease then expires.</summary>
    /// <param name="cancellationToken">Bounds the attempt.</param>
    public Task StopAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Ends without a goodbye: the lease runs out by itself. Call <see cref="StopAsync"/> first for a clean end.</summary>
    public ValueTask DisposeAsync() => throw new NotSupportedException();
}
