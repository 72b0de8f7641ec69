namespace Discovery.AspNetCore;

/// <summary>When an instance that fails is left out for a while, decided by this client's own calls.</summary>
public sealed class EjectionOptions
{
    /// <summary>Whether instances are left out at all. Default: <see langword="true"/>.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>
    /// How many failures in a row (502 to 504, gRPC UNAVAILABLE and the like, an answer that is not gRPC to a gRPC call) eject an instance; 1 to 1000.
    /// After an ejection one failure is enough until a call succeeds. Exceptions in the application's code (500, INTERNAL, UNKNOWN) and UNIMPLEMENTED
    /// count if other instances serve meanwhile; RESOURCE_EXHAUSTED and what is the caller's fault do not. Default: 5, as in Envoy.
    /// </summary>
    public int ConsecutiveFailures { get; set; } = 5;

    /// <summary>
    /// How many failures in a row to connect eject an instance; 1 to 1000. Default: 2: nobody is listening, and the call moved on
    /// unharmed, so there is little to lose.
    /// </summary>
    public int ConsecutiveConnectFailures { get; set; } = 2;

    /// <summary>
    /// How many calls in a row must have run out of time before an answer, or amid it, for an instance to be ejected, while nothing else came from it; 1 to
    /// 1000. At least one of them must have begun after another had ended, so that a pause of the server, which strikes all calls under way, is
    /// not enough. The deadline of a gRPC call counts, <c>HttpClient.Timeout</c>, and the time limit of a resilience handler; where it
    /// hedges, if that was more than ten times the usual latency; what a caller cancels himself never does. Default: 5.
    /// </summary>
    public int ConsecutiveTimeouts { get; set; } = 5;

    /// <summary>
    /// The share of failed calls, in percent, smoothed over about the last 20, at which an instance is ejected though some calls succeed;
    /// 1 to 100. Default: 50.
    /// </summary>
    public int FailureRatePercent { get; set; } = 50;

    /// <summary>
    /// How long the first ejection lasts, give or take a tenth; each further one lasts twice as long. 100 milliseconds to an hour.
    /// Default: 5 seconds, in which a process restarts; a longer outage reaches longer ejections by itself.
    /// </summary>
    public TimeSpan BaseDuration { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>The longest ejection. From <see cref="BaseDuration"/> to a day. Default: 5 minutes, as in Envoy.</summary>
    public TimeSpan MaxDuration { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// The largest share of the instances, in percent, that may be ejected at a time; 0 to 100. Of two or more instances one may always
    /// be, unless this is 0. Default: 50: half of the servers may fail before the others must carry more than twice their load.
    /// </summary>
    public int MaxEjectedPercent { get; set; } = 50;

    /// <summary>
    /// The share of instances, in percent, that must look healthy for ejection to apply. Below it nobody is left out: when nearly all
    /// fail, the fault is likely elsewhere, and the few must not get everything. 0 to 100, 0 turns it off. Default: 30.
    /// </summary>
    public int PanicThresholdPercent { get; set; } = 30;

    /// <summary>Takes over changed settings; those who judge instances hold this object.</summary>
    internal void Adopt(EjectionOptions changed)
    {
        Enabled = changed.Enabled;
        ConsecutiveFailures = changed.ConsecutiveFailures;
        ConsecutiveConnectFailures = changed.ConsecutiveConnectFailures;
        ConsecutiveTimeouts = changed.ConsecutiveTimeouts;
        FailureRatePercent = changed.FailureRatePercent;
        BaseDuration = changed.BaseDuration;
        MaxDuration = changed.MaxDuration;
        MaxEjectedPercent = changed.MaxEjectedPercent;
        PanicThresholdPercent = changed.PanicThresholdPercent;
    }

    internal EjectionOptions Copy() => (EjectionOptions)MemberwiseClone();
}
