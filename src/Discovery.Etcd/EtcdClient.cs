using Microsoft.Extensions.Logging;

namespace Discovery.Etcd;

/// <summary>
/// A client of one etcd cluster: thread-safe, meant to be shared and to live as long as the process. Operations are tried at one
/// endpoint after another until the total time limit; all of them are safe to be sent twice. Failures are <see cref="EtcdException"/>.
/// </summary>
public sealed class EtcdClient : IAsyncDisposable
{
    /// <summary>Creates a client. Nothing is dialled before the first operation.</summary>
    /// <param name="options">How to reach the cluster.</param>
    /// <param name="loggerFactory">Where to log; default: nowhere.</param>
    /// <param name="timeProvider">The clock; default: the system's.</param>
    /// <exception cref="ArgumentException">An option is wrong; the message names it, its value and a valid one.</exception>
    public EtcdClient(EtcdClientOptions options, ILoggerFactory? loggerFactory = null, TimeProvider? timeProvider = null) => throw new NotSupportedException();

    /// <summary>The endpoints as configured, normalized.</summary>
    public IReadOnlyList<Uri> Endpoints => throw new NotSupportedException();

    /// <summary>Reads one key, linearizable.</summary>
    /// <returns>The record, or <see langword="null"/>.</returns>
    public Task<EtcdKeyValue?> GetAsync(string key, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Lists all keys with a prefix, in pages read at one revision.</summary>
    public Task<EtcdListing> ListAsync(
        string prefix, EtcdReadConsistency consistency = EtcdReadConsistency.Linearizable, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Puts one key.</summary>
    /// <returns>The cluster's revision after it.</returns>
    public Task<long> PutAsync(string key, ReadOnlyMemory<byte> value, long leaseId = 0, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Deletes one key.</summary>
    /// <returns>Whether this call deleted it; <see langword="false"/> too when a repeated attempt found it gone.</returns>
    public Task<bool> DeleteAsync(string key, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Runs a transaction.</summary>
    public Task<EtcdTransactionResult> ExecuteAsync(EtcdTransaction transaction, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Asks for a lease.</summary>
    /// <param name="timeToLive">The time to live, in whole seconds; etcd grants at least about 2 s.</param>
    /// <param name="cancellationToken">Cancels the operation.</param>
    public Task<EtcdLease> GrantLeaseAsync(TimeSpan timeToLive, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Renews a lease once. For a lease that is to be held, see <see cref="KeepLease"/>.</summary>
    /// <returns>The lease with its renewed time to live, or <see langword="null"/> when it is gone.</returns>
    public Task<EtcdLease?> RenewLeaseAsync(long leaseId, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Revokes a lease; its keys are deleted with it. A lease that is gone already is no error.</summary>
    public Task RevokeLeaseAsync(long leaseId, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Creates a keeper: one lease, held for as long as there are keys on it.</summary>
    /// <param name="timeToLive">The time to live to ask for, in whole seconds.</param>
    public EtcdLeaseKeeper KeepLease(TimeSpan timeToLive) => throw new NotSupportedException();

    /// <summary>Watches a prefix. All watches of a client share one stream.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="startRevision">The first revision of interest: that of a list, plus one; 0 for "from now".</param>
    /// <param name="clusterId">The cluster that gave the list; 0 when there was none.</param>
    public EtcdWatch Watch(string prefix, long startRevision, ulong clusterId = 0) => throw new NotSupportedException();

    /// <summary>Asks one endpoint, the first that answers, for its state.</summary>
    public Task<EtcdMemberStatus> GetStatusAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Ends all watches and keepers and closes the connections. Leases are left to run out.</summary>
    public ValueTask DisposeAsync() => throw new NotSupportedException();
}
