using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.Etcd.Calls;

/// <summary>Sees to it that an operation is not carried out in another cluster than the client's.</summary>
internal sealed class ClusterCheck(ClusterIdentity cluster, TimeProvider time)
{
    /// <summary>Asks an endpoint for its cluster, unless it is known.</summary>
    /// <exception cref="CallFailedException">It belongs to another one, or did not answer; nothing was sent yet.</exception>
    public async Task BeforeAsync(Attempt attempt)
    {
        if (!cluster.IsUnknown(attempt.Endpoint))
        {
            return;
        }

        using var check = new Attempt(attempt.Endpoint, attempt.Token, TimeSpan.MaxValue, time, attempt.CancellationToken);
        try
        {
            var status = await new Maintenance.MaintenanceClient(new AttemptInvoker(check)).StatusAsync(new StatusRequest()).ConfigureAwait(false);
            if (status.Header is { } header && !cluster.Accept(attempt.Endpoint, header.ClusterId, check.StartedAt))
            {
                throw Other(header);
            }

            attempt.Endpoint.ObserveTerm(status.Leader != 0 ? status.RaftTerm : 0);
        }
        catch (CallFailedException e) when (e.IsTransient && e.Kind != CallFailureKind.OtherCluster)
        {
            throw new CallFailedException(e.Code, e.Detail, CallFailureKind.NotConnected, e);
        }
        catch (CallFailedException e) when (!e.IsTransient && !(e.WantsNewToken && attempt.Token is not null))
        {
            // It does not tell, as etcd 3.5.30 does without a token, and whoever fetches one has none; then its answers will.
        }
    }

    /// <summary>Looks at where the answer came from.</summary>
    /// <exception cref="CallFailedException">From another cluster.</exception>
    public void After(Attempt attempt)
    {
        if (!Accepts(attempt.Endpoint, attempt.Header, attempt.StartedAt))
        {
            throw Other(attempt.Header!);
        }
    }

    /// <summary>Looks at where an answer came from.</summary>
    /// <param name="endpoint">Who answered.</param>
    /// <param name="header">The answer's header; behind some proxies there is none.</param>
    /// <param name="askedAt">When it was asked, as a timestamp.</param>
    /// <returns>Whether it is the client's cluster.</returns>
    public bool Accepts(EtcdEndpoint endpoint, ResponseHeader? header, long askedAt)
    {
        if (header is null)
        {
            return true;
        }

        if (!cluster.Accept(endpoint, header.ClusterId, askedAt))
        {
            return false;
        }

        endpoint.ObserveTerm(header.RaftTerm);
        return true;
    }

    private static CallFailedException Other(ResponseHeader header) =>
        new(StatusCode.FailedPrecondition, $"it belongs to another cluster ({header.ClusterId:x})", CallFailureKind.OtherCluster);
}
