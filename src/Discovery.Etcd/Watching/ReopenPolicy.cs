namespace Discovery.Etcd.Watching;

/// <summary>
/// When the next stream is opened, and how long it may take. A refused connection costs next to nothing, so it is soon tried again; an etcd
/// that does not answer may only be slow, so it is given ever more time and asked less often.
/// </summary>
/// <param name="attemptTimeout">How long the first answer may take at first.</param>
internal sealed class ReopenPolicy(TimeSpan attemptTimeout)
{
    private static readonly double[] Growth = [1, 2, 4, 10, 20];
    private static readonly TimeSpan LongestOpenLimit = TimeSpan.FromSeconds(20);

    private int _failures;
    private int _silences;
    private int _rejections;
    private int _unavailable;

    /// <summary>How long the first answer on the next stream may take.</summary>
    public TimeSpan OpenLimit
    {
        get
        {
            var limit = attemptTimeout * Growth[Math.Min(_silences, Growth.Length - 1)];
            var longest = attemptTimeout > LongestOpenLimit ? attemptTimeout : LongestOpenLimit;
            return limit < longest ? limit : longest;
        }
    }

    /// <summary>How long to wait before the next stream.</summary>
    public TimeSpan Pause { get; private set; }

    /// <summary>
    /// Whether the next stream needs another connection: the member at the other end says again and again that it cannot serve, and another
    /// one may stand behind the same address. With every doubling of the refusals, so that an outage does not become a storm of connections.
    /// </summary>
    public bool WantsFreshConnection => _unavailable >= 2 && (int.IsPow2(_unavailable) || _unavailable % 32 == 0);

    /// <summary>
    /// Whether the token itself may be why nobody answers: etcd's simple tokens hold a raft index, and a member that is behind it, as after a
    /// restore from a backup, waits for it before it looks at the token.
    /// </summary>
    public bool WantsFreshToken => _silences >= 2 && int.IsPow2(_silences);

    /// <summary>A stream works.</summary>
    public void Settled() => (_failures, _silences, _rejections, _unavailable) = (0, 0, 0, 0);

    /// <summary>A stream ended, or could not be opened.</summary>
    /// <param name="kind">Why.</param>
    /// <param name="wasOpen">Whether it had worked; what was silent then was not slow to open.</param>
    public void Ended(StreamEndKind kind, bool wasOpen)
    {
        if (kind == StreamEndKind.Planned)
        {
            Pause = TimeSpan.Zero;
            return;
        }

        _failures++;
        _silences += kind == StreamEndKind.Silent && !wasOpen ? 1 : 0;
        _rejections += kind is StreamEndKind.Rejected or StreamEndKind.TokenInvalid ? 1 : 0;
        _unavailable = kind == StreamEndKind.Unavailable ? _unavailable + 1 : 0;
        Pause = Jitter.Spread(kind switch
        {
            _ when _failures == 1 => TimeSpan.Zero,
            StreamEndKind.Silent when _silences > 1 => Jitter.Grow(WatchTimings.FirstSilencePause, _silences - 1, WatchTimings.LongestSilencePause),

            // The first ones may be a token's, which is renewed.
            StreamEndKind.Rejected or StreamEndKind.TokenInvalid when _rejections > 2 =>
                Jitter.Grow(WatchTimings.FirstRefusalPause, _rejections - 2, WatchTimings.LongestRefusalPause),
            _ => Jitter.Grow(WatchTimings.FirstReopenPause, _failures - 1, WatchTimings.LongestReopenPause),
        });
    }
}
