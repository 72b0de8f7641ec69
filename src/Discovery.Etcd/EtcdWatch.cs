namespace Discovery.Etcd;

/// <summary>
/// A watch on all keys with a prefix. It ends only when it is disposed: broken streams, lost members, expired tokens and refusals are
/// survived and reported as updates.
/// </summary>
public sealed class EtcdWatch : IAsyncDisposable
{
    /// <summary>The watched prefix.</summary>
    public string Prefix => throw new NotSupportedException();

    /// <summary>The updates, in order. To be read by one reader; ends when the watch or its client is disposed.</summary>
    /// <param name="cancellationToken">Stops the reading, not the watch.</param>
    public IAsyncEnumerable<EtcdWatchUpdate> ReadAllAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Continues after <see cref="EtcdWatchUpdateKind.ListAgain"/>.</summary>
    /// <param name="startRevision">The first revision of interest: that of the new list, plus one.</param>
    /// <param name="clusterId">The cluster that gave the new list; another one that answers later means to list again.</param>
    public void Restart(long startRevision, ulong clusterId) => throw new NotSupportedException();

    /// <summary>Ends the watch and cancels it at the server.</summary>
    public ValueTask DisposeAsync() => throw new NotSupportedException();
}
