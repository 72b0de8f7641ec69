namespace Discovery.Etcd.Watching;

/// <summary>How the watch stream is kept under observation.</summary>
internal static class WatchTimes
{
    /// <summary>How often the watchdog looks.</summary>
    public static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(250);

    /// <summary>How long a stream may be silent before it is asked for a sign of life. With the answer's limit, a dead one is noticed within 15 s.</summary>
    public static readonly TimeSpan Silence = TimeSpan.FromSeconds(9);

    /// <summary>How long a stream must last to count as one that works.</summary>
    public static readonly TimeSpan Settled = TimeSpan.FromSeconds(1);

    /// <summary>How long the answer may take.</summary>
    public static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(5);

    /// <summary>The pause after a refusal, which grows with each further one.</summary>
    public static readonly TimeSpan FirstRefusalPause = TimeSpan.FromSeconds(1);

    /// <summary>The longest pause after a refusal: permissions are given by people, who do not want to wait long for the effect.</summary>
    public static readonly TimeSpan LongestRefusalPause = TimeSpan.FromSeconds(30);

    /// <summary>The pause before a broken stream is opened again, when another one broke just before; it grows.</summary>
    public static readonly TimeSpan FirstReopenPause = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// The longest such pause. A connection that is refused costs next to nothing, and what was added during an outage is to be known within
    /// a second of its end.
    /// </summary>
    public static readonly TimeSpan LongestReopenPause = TimeSpan.FromMilliseconds(500);
}
