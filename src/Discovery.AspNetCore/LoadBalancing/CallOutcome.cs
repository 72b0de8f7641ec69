namespace Discovery.AspNetCore.LoadBalancing;

/// <summary>How a call ended, as far as its endpoint's health is concerned.</summary>
internal enum CallOutcome
{
    /// <summary>The endpoint did its work; an error of the caller's making (404, NOT_FOUND) is a success here.</summary>
    Success,

    /// <summary>The endpoint failed: 5xx, gRPC UNAVAILABLE and the like, a reset stream.</summary>
    Failure,

    /// <summary>No connection came about, nothing was sent.</summary>
    ConnectFailure,

    /// <summary>
    /// The caller gave up, or its time was over. Not held against the endpoint's health, but the time waited is a lower bound of its
    /// latency.
    /// </summary>
    Cancelled,
}
