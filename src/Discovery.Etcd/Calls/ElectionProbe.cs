using System.Collections.Concurrent;
using Discovery.Etcd.Auth;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;

namespace Discovery.Etcd.Calls;

/// <summary>
/// Asks members that do not answer an operation for their state, to find out whether they had an election since it was sent, or were restored
/// from a backup that is older than the operation's token. A member answers that by itself, and one question is asked for all operations of the client, so it costs a slow cluster next to nothing.
/// </summary>
internal sealed class ElectionProbe(TimeSpan attemptTimeout, TimeProvider time, CancellationToken shutdown)
{
    private readonly ConcurrentDictionary<(EtcdEndpoint Endpoint, bool OnSecondConnection), byte> _asked = new();

    /// <summary>Set when a member answered.</summary>
    public Signal Answered { get; } = new();

    /// <summary>Asks the member at the other end of an attempt's connection, unless it has not answered the last question yet.</summary>
    public void Ask(Attempt unanswered, TokenSource? tokens)
    {
        // Behind one address, each connection may end at another member.
        if (_asked.TryAdd((unanswered.Endpoint, unanswered.UsesSecondConnection), 0))
        {
            _ = AskAsync(unanswered.Endpoint, unanswered.UsesSecondConnection, unanswered.Token, tokens);
        }
    }

    private async Task AskAsync(EtcdEndpoint endpoint, bool onSecondConnection, string? token, TokenSource? tokens)
    {
        try
        {
            var answer = await StatusAsync(endpoint, onSecondConnection, token).ConfigureAwait(false);
            if (answer is { Status: { Leader: not 0 } status } && (status.Header?.ClusterId ?? 0) is var cluster && (cluster == 0 || cluster == endpoint.Cluster.Id))
            {
                endpoint.ObserveTerm(status.RaftTerm);
            }

            if (token is not null && SimpleToken.IndexOf(token) is > 0 and var index && await IsAheadAsync(endpoint, onSecondConnection, index, answer).ConfigureAwait(false))
            {
                tokens?.Invalidate(token);
            }
        }
        finally
        {
            _asked.TryRemove((endpoint, onSecondConnection), out _);
            Answered.Set();
        }
    }

    // Newer members check the token of this question too, and then wait with it as well. That they run shows in their refusal without one.
    private async Task<bool> IsAheadAsync(EtcdEndpoint endpoint, bool onSecondConnection, ulong index, Answer answer) =>
        answer.Status is { } status
            ? index > status.RaftIndex
            : !answer.IsRefused && await StatusAsync(endpoint, onSecondConnection, token: null).ConfigureAwait(false) is { Status: not null } or { IsRefused: true };

    private async Task<Answer> StatusAsync(EtcdEndpoint endpoint, bool onSecondConnection, string? token)
    {
        using var limit = new CancellationTokenSource(attemptTimeout, time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, shutdown);
        using var attempt = new Attempt(endpoint, token, TimeSpan.MaxValue, time, end.Token) { UsesSecondConnection = onSecondConnection, IsProbe = true };
        try
        {
            return new(await new Maintenance.MaintenanceClient(new AttemptInvoker(attempt)).StatusAsync(new StatusRequest()).ConfigureAwait(false), false);
        }
        catch (CallFailedException e)
        {
            // A failed connection says nothing of the token.
            return new(null, !e.IsTransient);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            return default;
        }
    }

    private readonly record struct Answer(StatusResponse? Status, bool IsRefused);
}
