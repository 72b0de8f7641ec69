using System.Buffers.Binary;
using System.Security.Cryptography;
using Discovery.Etcd.Auth;
using Discovery.Etcd.Calls;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;

namespace Discovery.Etcd.Leasing;

/// <summary>Grants, renews and revokes leases. All renewals of a client share one stream.</summary>
internal sealed class LeaseRequests : IDisposable
{
    private readonly Lease.LeaseClient _stub;
    private readonly Failover _failover;
    private readonly TokenSource _tokens;
    private readonly Lock _gate = new();
    private KeepAliveStream? _stream;
    private int _drops;

    public LeaseRequests(Lease.LeaseClient stub, Failover failover, TokenSource tokens)
    {
        _stub = stub;
        _failover = failover;
        _tokens = tokens;
        tokens.Invalidated += DropStream;
        failover.Cluster.Replaced += OnClusterReplaced;
    }

    public async Task<EtcdLease> GrantAsync(TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        // Chosen here, so that a repeated attempt finds the lease of the first instead of leaving it behind.
        var request = new LeaseGrantRequest { ID = NewId(), TTL = (long)Math.Ceiling(timeToLive.TotalSeconds) };
        try
        {
            var response = await _stub.LeaseGrantAsync(request, cancellationToken: cancellationToken).ConfigureAwait(false);
            return new EtcdLease { Id = response.ID, TimeToLive = TimeSpan.FromSeconds(response.TTL) };
        }
        catch (EtcdException e) when (e.Reason == EtcdErrorReason.LeaseExists)
        {
            if (await RenewAsync(request.ID, cancellationToken).ConfigureAwait(false) is { } lease)
            {
                return lease;
            }

            throw;
        }
    }

    /// <summary>Tells early why a grant is not answered.</summary>
    public Task TellEarlyAsync(Task grant, Action<EtcdException> tell, CancellationToken cancellationToken) =>
        _failover.TellEarlyAsync(grant, OperationNames.LeaseGrant, told: null, tell, cancellationToken);

    /// <summary>Renews a lease.</summary>
    /// <returns>The lease, or <see langword="null"/> when it is gone.</returns>
    public async Task<EtcdLease?> RenewAsync(long leaseId, CancellationToken cancellationToken)
    {
        try
        {
            var response = await _failover.RunAsync(
                new Operation { Name = OperationNames.LeaseKeepAlive, Tokens = _tokens, Kind = CallKind.Stream, Preferred = OpenAt },
                attempt => RenewOnceAsync(leaseId, attempt),
                cancellationToken).ConfigureAwait(false);
            return response.TTL > 0 ? new EtcdLease { Id = leaseId, TimeToLive = TimeSpan.FromSeconds(response.TTL) } : null;
        }
        catch (EtcdException e) when (e.Reason == EtcdErrorReason.LeaseNotFound)
        {
            return null;
        }
    }

    public async Task RevokeAsync(long leaseId, CancellationToken cancellationToken)
    {
        try
        {
            await _stub.LeaseRevokeAsync(new LeaseRevokeRequest { ID = leaseId }, cancellationToken: cancellationToken).ConfigureAwait(false);
        }
        catch (EtcdException e) when (e.Reason == EtcdErrorReason.LeaseNotFound)
        {
            // Gone is what was asked for.
        }
    }

    public void Dispose()
    {
        _tokens.Invalidated -= DropStream;
        _failover.Cluster.Replaced -= OnClusterReplaced;
        DropStream();
    }

    private static long NewId()
    {
        Span<byte> bytes = stackalloc byte[8];
        RandomNumberGenerator.Fill(bytes);
        return Math.Max(1, BinaryPrimitives.ReadInt64LittleEndian(bytes) & long.MaxValue);
    }

    private async Task<LeaseKeepAliveResponse> RenewOnceAsync(long leaseId, Attempt attempt)
    {
        var drops = Volatile.Read(ref _drops);
        var stream = OpenStream(attempt);
        attempt.Connection = stream.Connection;
        try
        {
            var response = await stream.RenewAsync(leaseId, attempt.CancellationToken).ConfigureAwait(false);
            attempt.Answered(response);
            Use(stream, drops);
            return response;
        }
        catch
        {
            if (attempt.IsSilent || IsSpare(stream))
            {
                stream.End(attempt.Outcome);
            }

            throw;
        }
    }

    // The stream stays where it is while it works, even when other calls moved to another endpoint; for some time.
    private EtcdEndpoint? OpenAt()
    {
        lock (_gate)
        {
            if (_stream is { IsOpen: true } && _failover.Pool.IsReturnDue(_stream.Endpoint))
            {
                _stream.Dispose();
            }

            return _stream is { IsOpen: true } ? _stream.Endpoint : null;
        }
    }

    // While a renewal is unanswered, a second one goes over a stream of its own: etcd handles those of one stream one after the other, and a
    // member that passed one on to a leader which hangs waits for seconds.
    private KeepAliveStream OpenStream(Attempt attempt)
    {
        lock (_gate)
        {
            var isOpen = _stream is { IsOpen: true };
            if (isOpen && _stream!.Endpoint == attempt.Endpoint && !attempt.IsBesideAnother)
            {
                return _stream;
            }

            var stream = new KeepAliveStream(attempt.Endpoint, attempt.Token, attempt.UsesSecondConnection);
            if (!isOpen)
            {
                _stream = stream;
            }

            return stream;
        }
    }

    // The stream that answers is the one to use, unless those of its time were dropped meanwhile.
    private void Use(KeepAliveStream stream, int drops)
    {
        lock (_gate)
        {
            if (drops != _drops)
            {
                stream.Dispose();
            }
            else if (stream != _stream)
            {
                _stream?.Dispose();
                _stream = stream;
            }
        }
    }

    private bool IsSpare(KeepAliveStream stream)
    {
        lock (_gate)
        {
            return stream != _stream;
        }
    }

    private void OnClusterReplaced(ulong clusterId) => DropStream();

    private void DropStream()
    {
        lock (_gate)
        {
            _drops++;
            _stream?.Dispose();
            _stream = null;
        }
    }
}
