using Discovery.Etcd.Auth;

namespace Discovery.Etcd.Calls;

/// <summary>
/// When an operation whose attempts are unanswered is sent once more. After the attempt's limit a second time, if the budget allows. And after
/// an election at a member that was asked: what it took in before is lost then without a word.
/// </summary>
internal sealed class HedgePolicy(Failover failover, TokenSource? tokens)
{
    // An election takes one to two seconds; that is when it has to be noticed soon.
    private const int QuestionsPerTimeout = 4;
    private const int FrequentQuestions = 8;

    private int _questions;
    private long _askedAt;

    /// <summary>Whether an attempt was unanswered for too long.</summary>
    public bool IsOverdue { get; private set; }

    /// <summary>How many attempts may be under way.</summary>
    public int Allowed { get; private set; } = 1;

    private TimeSpan AttemptTimeout => failover.Options.AttemptTimeout;

    /// <summary>How long until <see cref="Look"/> is due.</summary>
    public TimeSpan NextLook(List<RunningAttempt> running)
    {
        if (running.Count == 0 || running.Exists(static r => r.Attempt.IsAnswering))
        {
            return Timeout.InfiniteTimeSpan;
        }

        var left = IsOverdue
            ? Jitter.Grow(AttemptTimeout / QuestionsPerTimeout, _questions - FrequentQuestions, AttemptTimeout) - failover.Time.GetElapsedTime(_askedAt)
            : AttemptTimeout - (running.Count == 1 ? running[0].Attempt.Elapsed : running.Max(static r => r.Attempt.Elapsed));
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    /// <summary>Decides whether one more may be sent.</summary>
    /// <returns>The attempt that was lost in an election, if that is why: its member has a leader now.</returns>
    public RunningAttempt? Look(List<RunningAttempt> running)
    {
        IsOverdue = true;
        RunningAttempt? lost = null;
        if (Allowed == 1 && running.All(r => r.Attempt.IsSilent) && failover.Budget.TryTake())
        {
            Allowed = 2;
        }
        else
        {
            lost = running.FirstOrDefault(r => r.HadElection);
            if (lost is not null)
            {
                Allowed = running.Count + 1;
                foreach (var other in running)
                {
                    other.IgnoreElectionsUpTo(lost.Attempt.Endpoint.Term);
                }
            }
        }

        if (NextLook(running) == TimeSpan.Zero)
        {
            _questions++;
            _askedAt = failover.Time.GetTimestamp();
            foreach (var other in running)
            {
                failover.Elections.Ask(other.Attempt, tokens);
            }
        }

        return lost;
    }
}
