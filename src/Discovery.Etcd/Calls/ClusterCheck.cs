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
            Accept(attempt.Endpoint, status.Header);
            attempt.Endpoint.ObserveTerm(status.Leader != 0 ? status.RaftTerm : 0);
        }
        catch (CallFailedException e) when (e.IsTransient && e.Kind != CallFailureKind.OtherCluster)
        {
            throw new CallFailedException(e.Code, e.Detail, CallFailureKind.NotConnected, e);
        }
        catch (CallFailedException e) when (!e.IsTransient && !e.WantsNewToken)
        {
            // It does not tell; then its answers will.
        }
    }

    /// <summary>Looks at where the answer came from.</summary>
    /// <exception cref="CallFailedException">From another cluster.</exception>
    public void After(Attempt attempt)
    {
        Accept(attempt.Endpoint, attempt.Header);
        attempt.Endpoint.ObserveTerm(attempt.Header?.RaftTerm ?? 0);
    }

    private void Accept(EtcdEndpoint endpoint, ResponseHeader? header)
    {
        if (header is not null && !cluster.Accept(endpoint, header.ClusterId))
        {
            throw new CallFailedException(
                StatusCode.FailedPrecondition, $"it belongs to another cluster ({header.ClusterId:x})", CallFailureKind.OtherCluster);
        }
    }
}
