namespace Discovery.Etcd.Watching;

/// <summary>
/// Tells a quiet stream from a dead one. Time is counted in ticks that were handled, so that a process that stood still does not take its own
/// silence for etcd's.
/// </summary>
/// <param name="openLimit">How long the first answer may take.</param>
internal sealed class StreamWatchdog(TimeSpan openLimit)
{
    private TimeSpan _silence;
    private bool _isAwaiting;

    /// <summary>How long an answer may take now.</summary>
    public TimeSpan Limit { get; private set; } = openLimit;

    /// <summary>Whether the server ever said anything.</summary>
    public bool WasHeard { get; private set; }

    /// <summary>Whether an answer is overdue.</summary>
    public bool IsDead => _isAwaiting && _silence > Limit;

    /// <summary>Whether it is time to ask for a sign of life.</summary>
    public bool WantsSignOfLife => !_isAwaiting && _silence >= WatchTimings.Silence;

    /// <summary>A request was sent that the server must answer.</summary>
    public void Asked()
    {
        _isAwaiting = true;
        _silence = TimeSpan.Zero;
    }

    /// <summary>The request was answered.</summary>
    public void Answered()
    {
        Heard();
        _isAwaiting = false;
    }

    /// <summary>The server said something.</summary>
    public void Heard()
    {
        if (!WasHeard)
        {
            // A server that was slow to open the stream stays slow.
            WasHeard = true;
            Limit = _silence * 2 > WatchTimings.AnswerLimit ? _silence * 2 : WatchTimings.AnswerLimit;
        }

        _silence = TimeSpan.Zero;
    }

    /// <summary>A tick passed.</summary>
    public void Tick() => _silence += WatchTimings.Tick;
}
