using Discovery.Etcd.Auth;
using Discovery.Etcd.Calls;
using Discovery.Etcd.Connections;
using Discovery.Etcd.KeyValues;
using Discovery.Etcd.Protocol;

namespace Discovery.Etcd.Watching;

/// <summary>What watching needs of the rest of the client: endpoints and tokens for its streams, and reads that a majority stands behind.</summary>
internal sealed class WatchConnector(
    EtcdClientOptions options,
    EtcdErrors errors,
    EndpointPool pool,
    ClusterIdentity cluster,
    TokenSource tokens,
    LatestRevision latest,
    KV.KVClient keyValues)
{
    /// <summary>Raised, on any thread, when a token was found invalid: a stream that was opened with it is to be opened again.</summary>
    public event Action? TokenInvalidated
    {
        add => tokens.Invalidated += value;
        remove => tokens.Invalidated -= value;
    }

    /// <summary>Raised, on any thread, with the id of another cluster that stands in the place of the former one: what is open there is to be opened again.</summary>
    public event Action<ulong>? ClusterReplaced
    {
        add => cluster.Replaced += value;
        remove => cluster.Replaced -= value;
    }

    /// <summary>How long the first answer may take at first.</summary>
    public TimeSpan AttemptTimeout => options.AttemptTimeout;

    public bool HasOneEndpoint => pool.All.Count == 1;

    /// <summary>The cluster's revision by the latest linearizable answer; 0 while none is known.</summary>
    public long LatestRevision => latest.Revision;

    public Task<string?> GetTokenAsync(CancellationToken cancellationToken) => tokens.GetAsync(cancellationToken);

    public void InvalidateToken(string? token) => tokens.Invalidate(token);

    /// <summary>Chooses the endpoint of the next stream.</summary>
    public EtcdEndpoint Choose() => pool.Choose([], CallKind.Stream);

    /// <summary>Whether a stream fled from a member that has been well again for long enough.</summary>
    public bool IsReturnDue(EtcdEndpoint endpoint) => pool.IsReturnDue(endpoint);

    /// <summary>Whether an endpoint belongs to the client's cluster; if not, it is not chosen again for a while.</summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="clusterId">The cluster id of its answer.</param>
    /// <param name="askedAt">When it was asked, as a timestamp.</param>
    public bool Accepts(EtcdEndpoint endpoint, ulong clusterId, long askedAt) => cluster.Accept(endpoint, clusterId, askedAt);

    public WatchCall Open(EtcdEndpoint endpoint, string? token) => new(endpoint, token, errors);

    /// <summary>
    /// Reads next to nothing, linearizable: by another way than the stream, with a fresh token, and at a member that has a quorum behind it.
    /// </summary>
    /// <returns>The header, or the refusal; neither when the client is disposed.</returns>
    public async Task<(ResponseHeader? Header, EtcdException? Refusal)> ProbeAsync(KeyRange range, CancellationToken cancellationToken)
    {
        try
        {
            var request = new RangeRequest { Key = range.Start, RangeEnd = range.End, Limit = 1, KeysOnly = true };
            var header = (await keyValues.RangeAsync(request, cancellationToken: cancellationToken).ConfigureAwait(false)).Header;
            latest.Observe(header);
            return (header, null);
        }
        catch (EtcdException e)
        {
            return (null, e);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            return (null, null);
        }
    }
}
