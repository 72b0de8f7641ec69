using System.Net.Http.Headers;
using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Calls;

/// <summary>
/// The call of a response whose body has not ended. Where nobody disposed the response and nobody holds it any longer, its finalizer ends
/// the call, which would otherwise count as under way for ever. To make an object with a finalizer takes several times what the rest of the
/// body's tracking takes, so each thread keeps a few of those whose calls have ended, for its next calls.
/// </summary>
internal sealed class TrackedCall
{
    private const int MostKept = 32;

    [ThreadStatic]
    private static TrackedCall? t_kept;

    private TrackedContent? _content;
    private InstanceState? _instance;
    private CallProgress _progress;
    private CallOutcome _outcome;
    private TrackedCall? _next;
    private int _depth;

    private TrackedCall()
    {
    }

    /// <summary>
    /// Runs when the response is forgotten. Off the finalizer's thread, for the health of an instance is written to the log.
    /// </summary>
#pragma warning disable MA0055 // Nothing else learns that a response was forgotten.
    ~TrackedCall()
#pragma warning restore MA0055
    {
        if (Interlocked.Exchange(ref _content, null) is not null)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static call => call._instance!.OnCallEnded(call._progress, call._outcome), this, preferLocal: false);
        }
    }

    /// <summary>The outcome of the call as long as its body says nothing else.</summary>
    public CallOutcome Outcome => _outcome;

    /// <summary>When the call began, by the clock of its instance.</summary>
    public long StartedAt => _progress.StartedAt;

    /// <summary>The instance that was called; null once the call is over.</summary>
    public InstanceState? InstanceOf(TrackedContent content) => Volatile.Read(ref _content) == content ? _instance : null;

    /// <summary>Begins to track the call of a response.</summary>
    public static TrackedCall Begin(TrackedContent content, InstanceState instance, CallProgress progress, CallOutcome outcome)
    {
        var call = TakeKept() ?? new TrackedCall();
        call._instance = instance;
        call._progress = progress;
        call._outcome = outcome;
        Volatile.Write(ref call._content, content);
        return call;
    }

    /// <summary>The call is over, if it was not before. This object may then be another content's.</summary>
    /// <param name="content">Whose call it is.</param>
    /// <param name="outcome">How it ended.</param>
    /// <param name="trailers">Where a report of the instance's load may be; null for nowhere.</param>
    public void End(TrackedContent content, CallOutcome outcome, HttpResponseHeaders? trailers = null)
    {
        if (TryEnd(content))
        {
            var (instance, progress) = (_instance!, _progress);
            Keep();
            if (trailers is not null && outcome == CallOutcome.Success)
            {
                ReceivedReports.Learn(trailers, instance);
            }

            instance.OnCallEnded(progress, outcome);
        }
    }

    /// <summary>The caller gave the call up before its end.</summary>
    /// <param name="content">Whose call it is.</param>
    /// <param name="otherwise">The outcome if nothing else is known.</param>
    /// <param name="request">The request, of which may be known that it ran out of time; null if that says nothing.</param>
    /// <param name="token">What cancelled it.</param>
    public void GiveUp(TrackedContent content, CallOutcome otherwise, HttpRequestMessage? request, CancellationToken token)
    {
        if (TryEnd(content))
        {
            var (instance, progress, outcome) = (_instance!, _progress, _outcome);
            Keep();
            if (outcome == CallOutcome.Success)
            {
                outcome = request is not null && CallDeadline.HasPassedInBody(request, instance, progress, token) ? CallOutcome.Stalled : otherwise;
            }

            instance.OnCallEnded(progress, outcome);
        }
    }

    /// <summary>
    /// Takes only what is as young as a new object: what has survived collections is seen to be forgotten by rare, thorough ones alone.
    /// </summary>
    private static TrackedCall? TakeKept()
    {
        var call = t_kept;
        if (call is null)
        {
            return null;
        }

        if (GC.GetGeneration(call) > 0)
        {
            t_kept = null;
            return null;
        }

        t_kept = call._next;
        call._next = null;
        return call;
    }

    /// <summary>Most bodies end once by being read and twice more by being disposed.</summary>
    private bool TryEnd(TrackedContent content)
        => Volatile.Read(ref _content) == content && Interlocked.CompareExchange(ref _content, null, content) == content;

    private void Keep()
    {
        _instance = null;
        var others = t_kept;
        _depth = others is null ? 1 : others._depth + 1;
        if (_depth <= MostKept)
        {
            _next = others;
            t_kept = this;
        }
        else
        {
#pragma warning disable CA1816 // What the finalizer is for is done.
            GC.SuppressFinalize(this);
#pragma warning restore CA1816
        }
    }
}
