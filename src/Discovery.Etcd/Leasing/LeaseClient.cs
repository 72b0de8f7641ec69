using System.Buffers.Binary;
using System.Security.Cryptography;
using Discovery.Etcd.Auth;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;
using Discovery.Etcd.Transport;

namespace Discovery.Etcd.Leasing;

/// <summary>Grants, renews and revokes leases. All renewals of a client share one stream.</summary>
internal sealed class LeaseClient : IDisposable
{
    private readonly UnaryCaller _caller;
    private readonly Failover _failover;
    private readonly TokenSource _tokens;
    private readonly Lock _gate = new();
    private KeepAliveStream? _stream;

    public LeaseClient(UnaryCaller caller, Failover failover, TokenSource tokens)
    {
        _caller = caller;
        _failover = failover;
        _tokens = tokens;
        tokens.Invalidated += DropStream;
    }

    public async Task<EtcdLease> GrantAsync(TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        // Chosen here, so that a repeated attempt finds the lease of the first instead of leaving it behind.
        var request = new LeaseGrantRequest { ID = NewId(), TTL = (long)Math.Ceiling(timeToLive.TotalSeconds) };
        try
        {
            var response = await _caller.CallAsync(EtcdMethods.LeaseGrant, request, cancellationToken);
            return new EtcdLease(response.ID, TimeSpan.FromSeconds(response.TTL));
        }
        catch (EtcdException e) when (EtcdMessages.Is(e.Message, EtcdMessages.LeaseExists))
        {
            if (await RenewAsync(request.ID, cancellationToken) is { } lease)
            {
                return lease;
            }

            throw;
        }
    }

    /// <summary>Renews a lease.</summary>
    /// <returns>The lease, or <see langword="null"/> when it is gone.</returns>
    public async Task<EtcdLease?> RenewAsync(long leaseId, CancellationToken cancellationToken)
    {
        try
        {
            var response = await _failover.RunAsync(
                EtcdMethods.LeaseKeepAlive.Name, _tokens, attempt => RenewOnceAsync(leaseId, attempt), cancellationToken);
            return response.TTL > 0 ? new EtcdLease(leaseId, TimeSpan.FromSeconds(response.TTL)) : null;
        }
        catch (EtcdException e) when (EtcdMessages.Is(e.Message, EtcdMessages.LeaseNotFound))
        {
            return null;
        }
    }

    public async Task RevokeAsync(long leaseId, CancellationToken cancellationToken)
    {
        try
        {
            await _caller.CallAsync(EtcdMethods.LeaseRevoke, new LeaseRevokeRequest { ID = leaseId }, cancellationToken);
        }
        catch (EtcdException e) when (EtcdMessages.Is(e.Message, EtcdMessages.LeaseNotFound))
        {
            // Gone is what was asked for.
        }
    }

    public void Dispose()
    {
        _tokens.Invalidated -= DropStream;
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
        var stream = OpenStream(attempt);
        try
        {
            return await stream.RenewAsync(leaseId, attempt.CancellationToken);
        }
        catch
        {
            if (attempt.WasSilent)
            {
                stream.End(silent: true);
            }

            throw;
        }
    }

    // The stream stays where it is while it works, even when other calls moved to another endpoint.
    private KeepAliveStream OpenStream(Attempt attempt)
    {
        lock (_gate)
        {
            if (_stream is not { IsOpen: true })
            {
                _stream = new KeepAliveStream(attempt.Endpoint, attempt.Token);
            }

            attempt.Endpoint = _stream.Endpoint;
            return _stream;
        }
    }

    private void DropStream()
    {
        lock (_gate)
        {
            _stream?.Dispose();
            _stream = null;
        }
    }
}
