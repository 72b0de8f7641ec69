using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;

namespace Discovery.Etcd.Calls;

/// <summary>
/// Finds out whether a member that does not answer an operation had an election since it was sent. A member answers for its own state without
/// asking the others, so this costs a slow cluster next to nothing.
/// </summary>
internal sealed class ElectionProbe(Failover failover) : IDisposable
{
    // The first look, as a part of the attempt's limit.
    private const int First = 4;

    private readonly CancellationTokenSource _end = new();
    private readonly Dictionary<EtcdEndpoint, ulong> _terms = [];
    private readonly Dictionary<EtcdEndpoint, Task> _questions = [];
    private int _looks;

    /// <summary>How long to wait before the next look.</summary>
    public TimeSpan NextLook => Jitter.Grow(failover.Options.AttemptTimeout / First, _looks + 1, failover.Options.AttemptTimeout * 2);

    /// <summary>Looks at what is known by now, and asks the members again.</summary>
    /// <param name="unanswered">The attempts that are unanswered.</param>
    /// <returns>One of their members that had an election since it was asked, if any.</returns>
    public EtcdEndpoint? Look(IEnumerable<Attempt> unanswered)
    {
        _looks++;
        EtcdEndpoint? found = null;
        foreach (var attempt in unanswered)
        {
            var endpoint = attempt.Endpoint;
            var term = endpoint.Term;
            var known = _terms.GetValueOrDefault(endpoint, attempt.Term);
            if (known != 0 && term > known)
            {
                found ??= endpoint;
            }

            _terms[endpoint] = term;
            if (!_questions.TryGetValue(endpoint, out var question) || question.IsCompleted)
            {
                _questions[endpoint] = AskAsync(endpoint, attempt.Token);
            }
        }

        return found;
    }

    public void Dispose()
    {
        _end.Cancel();
        _end.Dispose();
    }

    private async Task AskAsync(EtcdEndpoint endpoint, string? token)
    {
        using var attempt = new Attempt(endpoint, token, TimeSpan.MaxValue, failover.Time, _end.Token);
        try
        {
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
    }
}
