using System.Collections.Concurrent;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;

namespace Discovery.Etcd.Calls;

/// <summary>
/// Asks members that do not answer an operation for their state, to find out whether they had an election since it was sent. A member answers
/// that by itself, and one question is asked for all operations of the client, so it costs a slow cluster next to nothing.
/// </summary>
internal sealed class ElectionProbe(TimeSpan attemptTimeout, TimeProvider time, CancellationToken shutdown)
{
    private readonly ConcurrentDictionary<EtcdEndpoint, byte> _asked = new();

    /// <summary>Set when a member answered.</summary>
    public Signal Answered { get; } = new();

    /// <summary>Asks a member, unless it has not answered the last question yet.</summary>
    public void Ask(EtcdEndpoint endpoint, string? token)
    {
        if (_asked.TryAdd(endpoint, 0))
        {
            _ = AskAsync(endpoint, token);
        }
    }

    private async Task AskAsync(EtcdEndpoint endpoint, string? token)
    {
        try
        {
            using var limit = new CancellationTokenSource(attemptTimeout, time);
            using var end = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, shutdown);
            using var attempt = new Attempt(endpoint, token, TimeSpan.MaxValue, time, end.Token);
            var status = await new Maintenance.MaintenanceClient(new AttemptInvoker(attempt)).StatusAsync(new StatusRequest()).ConfigureAwait(false);
            if (status.Leader != 0)
            {
                endpoint.ObserveTerm(status.RaftTerm);
            }
        }
        catch (Exception e) when (e is CallFailedException or OperationCanceledException or ObjectDisposedException)
        {
            // It does not say.
        }
        finally
        {
            _asked.TryRemove(endpoint, out _);
            Answered.Set();
        }
    }
}
