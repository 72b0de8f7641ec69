namespace Discovery.AspNetCore.Instances;

/// <summary>How a call ended, as far as its instance is concerned. A byte, for each call with a response body keeps one.</summary>
internal enum CallOutcome : byte
{
    /// <summary>The instance did its work. The only outcome whose time is learnt as latency.</summary>
    Success,

    /// <summary>The instance failed: 502, 503, 504 and the like, gRPC UNAVAILABLE and the like, a reset stream.</summary>
    Failure,

    /// <summary>A failure with the connection that others failed with before it: one thing that went wrong counts once.</summary>
    SameFailure,

    /// <summary>No connection came about, nothing was sent.</summary>
    ConnectFailure,

    /// <summary>
    /// The caller gave up. Not held against the instance's health, but the time waited is a lower bound of its latency.
    /// </summary>
    Cancelled,

    /// <summary>A deadline passed before any answer. Enough of them in a row, with nothing else between, mean that the instance hangs.</summary>
    TimedOut,

    /// <summary>The same after response headers that said nothing of a failure: the body did not come.</summary>
    Stalled,

    /// <summary>An error of the caller's making, which others are not known not to give. The instance works, but this is no measure of its speed.</summary>
    Refused,

    /// <summary>The same by HTTP 404, which is also what a stranger at the address of an instance that is gone answers.</summary>
    NotFound,

    /// <summary>The same by an answer that strangers give besides: any other 4xx, PERMISSION_DENIED. Held against it if it says nothing else and others serve.</summary>
    Denied,

    /// <summary>The same by a status of gRPC that strangers do not give. Counts as load if it says nothing else and others serve, for it is quick.</summary>
    CallersError,

    /// <summary>The same by a redirection, which strangers give to their own login. Else the instance did its work, but that is no measure of its speed.</summary>
    Redirected,

    /// <summary>The instance does not serve this method. Held against it if others serve.</summary>
    Unimplemented,

    /// <summary>Somebody else answered: not gRPC to a gRPC call, or 421. A failure.</summary>
    WrongServer,

    /// <summary>Too much for the instance, or for this caller's quota: RESOURCE_EXHAUSTED, 429. Counts as load and not as failure.</summary>
    Overloaded,

    /// <summary>500, INTERNAL or UNKNOWN: an exception in the application's code. Counts as load, and is held against the instance only beside what others do.</summary>
    UnknownError,
}
