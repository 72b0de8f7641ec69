namespace Discovery.Etcd.Calls;

/// <summary>An attempt under way.</summary>
internal sealed class RunningAttempt(Attempt attempt, Task task, ulong term)
{
    private static long _last;

    private ulong _term = term;
    private bool _isReported;

    public Attempt Attempt => attempt;

    public Task Task => task;

    /// <summary>Counts the attempts: a later one has a higher number.</summary>
    public long Number { get; } = Interlocked.Increment(ref _last);

    /// <summary>Whether its member had an election since it was sent, as far as is known.</summary>
    public bool HadElection
    {
        get
        {
            var latest = attempt.Endpoint.Term;
            if (_term == 0)
            {
                _term = latest;
            }

            return latest > _term;
        }
    }

    /// <summary>The elections up to this term are dealt with.</summary>
    public void IgnoreElectionsUpTo(ulong latest) => _term = Math.Max(_term, latest);

    /// <summary>Whether it is silent and this was not asked before.</summary>
    public bool IsNewlySilent()
    {
        var isNew = attempt.IsSilent && !_isReported;
        _isReported |= isNew;
        return isNew;
    }

    /// <summary>Ends it.</summary>
    /// <param name="needed">How long the one needed that was answered; zero where none was.</param>
    public void Abandon(TimeSpan needed)
    {
        attempt.Abandon(needed);
        _ = DisposeAsync();
    }

    private async Task DisposeAsync()
    {
        // How it ends is nobody's business any more.
        await task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        attempt.Dispose();
    }
}
