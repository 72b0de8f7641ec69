using System.Globalization;
using System.Text;
using Discovery.EmbeddedEtcd.Contract;
using Discovery.EmbeddedEtcd.Leases;
using Discovery.EmbeddedEtcd.Store;
using Discovery.EmbeddedEtcd.Watches;
using Discovery.Etcd.Protocol;
using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Locks;

/// <summary>
/// Whoever wants a lock: a key on a lease under the lock's name. The one created first owns the lock; the others wait until all that came
/// before them are gone.
/// </summary>
internal sealed class LockContender : IDisposable
{
    private readonly EtcdEngine _engine;
    private readonly KeyInterval _contenders;
    private readonly GrantedLease _lease;
    private readonly WatchSession _changes;
    private readonly long _createRevision;

    /// <summary>Enters the contest, or stays in it if the lease is there already. The gate is held.</summary>
    public LockContender(EtcdEngine engine, ByteString name, GrantedLease lease)
    {
        _engine = engine;
        _lease = lease;
        var prefix = ByteString.CopyFrom([.. name.Span, (byte)'/']);
        var end = ByteString.CopyFrom([.. name.Span, (byte)'/' + 1]);
        _contenders = KeyInterval.Of(prefix, end);
        Key = ByteString.CopyFrom([.. prefix.Span, .. Encoding.ASCII.GetBytes(lease.Id.ToString("x", CultureInfo.InvariantCulture))]);
        var transaction = engine.Begin();
        if (transaction.Find(Key) is null)
        {
            transaction.Put(Key, ByteString.Empty, lease.Id);
            engine.Commit(transaction);
        }

        _createRevision = engine.Store.Find(Key)!.CreateRevision;
        _changes = new WatchSession(engine, Timeout.InfiniteTimeSpan);
        _changes.Handle(new WatchRequest { CreateRequest = new WatchCreateRequest { Key = _contenders.Key, RangeEnd = end } });
    }

    public ByteString Key { get; }

    /// <summary>Whether the lock is its own.</summary>
    /// <exception cref="Grpc.Core.RpcException">Its key is gone: the lease ended.</exception>
    public bool IsOwner()
    {
        lock (_engine.Gate)
        {
            _engine.ExpireLeases();
            var records = _engine.Begin().Range(_contenders).Records;
            return records.Exists(r => r.CreateRevision == _createRevision)
                ? records.TrueForAll(r => r.CreateRevision >= _createRevision)
                : throw ServerErrors.SessionExpired();
        }
    }

    /// <summary>Waits until something changed. The lease is kept alive meanwhile.</summary>
    public async Task WaitAsync(CancellationToken cancellationToken)
    {
        using var renewal = new CancellationTokenSource(TimeSpan.FromSeconds(Math.Max(1, _lease.Ttl / 3)), _engine.TimeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, renewal.Token);
        try
        {
            await _changes.WaitAsync(either.Token).ConfigureAwait(false);
            while (_changes.Next(out _) is not null)
            {
                // What it was does not matter.
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            lock (_engine.Gate)
            {
                if (_engine.Leases.Find(_lease.Id) is { } lease)
                {
                    _engine.Leases.Renew(lease);
                    _engine.ArmExpiry();
                }
            }
        }
    }

    public void Dispose() => _changes.Dispose();
}
