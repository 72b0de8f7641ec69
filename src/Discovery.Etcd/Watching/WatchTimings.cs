namespace Discovery.Etcd.Watching;

/// <summary>How the watch stream is kept under observation, and when it is opened again.</summary>
internal static class WatchTimings
{
    /// <summary>How often the stream is looked at.</summary>
    public static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(250);

    /// <summary>How long a stream may be silent before it is asked for a sign of life. With the answer's limit, a dead one is noticed within 15 s.</summary>
    public static readonly TimeSpan Silence = TimeSpan.FromSeconds(9);

    /// <summary>
    /// How many signs of life of etcd's proxy there are for one read that goes through it to etcd: a read costs etcd more than a sign of life, and a
    /// wiped or restored etcd is noticed within half a minute.
    /// </summary>
    public const int SignsOfProxy = 3;

    /// <summary>How long an answer may take on a stream that was heard before.</summary>
    public static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(5);

    /// <summary>How long a stream must last to count as one that works.</summary>
    public static readonly TimeSpan Settled = TimeSpan.FromSeconds(1);

    /// <summary>How long watches must be without a stream before that is an outage: elections and restarted members are none.</summary>
    public static readonly TimeSpan Outage = TimeSpan.FromSeconds(2);

    /// <summary>
    /// About how long a stream is kept at the only endpoint. Connections flee from a member that is restarted, and would stay where they fled
    /// to; those to one address in front of several members spread over them again only when they are made anew.
    /// </summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    /// <summary>
    /// Within what time a stream with a stale token is opened again. All clients find their tokens stale at once when a role changes, and to
    /// check a password costs etcd much.
    /// </summary>
    public static readonly TimeSpan StaleTokenSpread = TimeSpan.FromMinutes(5);

    /// <summary>The pause after a refusal, which grows with each further one.</summary>
    public static readonly TimeSpan FirstRefusalPause = TimeSpan.FromSeconds(1);

    /// <summary>The longest pause after a refusal: permissions are given by people, who do not want to wait long for the effect.</summary>
    public static readonly TimeSpan LongestRefusalPause = TimeSpan.FromSeconds(30);

    /// <summary>How often a refusal that does not change is logged.</summary>
    public static readonly TimeSpan RefusalLogInterval = TimeSpan.FromMinutes(1);

    /// <summary>The pause before a broken stream is opened again, when another one broke just before; it grows.</summary>
    public static readonly TimeSpan FirstReopenPause = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// The longest such pause. A connection that is refused costs next to nothing, and what was added during an outage is to be known within
    /// a second of its end.
    /// </summary>
    public static readonly TimeSpan LongestReopenPause = TimeSpan.FromMilliseconds(500);

    /// <summary>The pause after a second stream in a row that stayed silent; it grows. etcd may be slow, and each stream is work for it.</summary>
    public static readonly TimeSpan FirstSilencePause = TimeSpan.FromMilliseconds(500);

    /// <summary>The longest such pause.</summary>
    public static readonly TimeSpan LongestSilencePause = TimeSpan.FromSeconds(5);
}
