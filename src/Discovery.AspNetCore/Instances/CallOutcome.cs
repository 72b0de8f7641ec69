namespace Discovery.AspNetCore.Instances;

/// <summary>How a call ended, as far as its instance's health is concerned.</summary>
internal enum CallOutcome
{
    /// <summary>The instance did its work; an error of the caller's making (404, NOT_FOUND) is a success here.</summary>
    Success,

    /// <summary>The instance failed: 5xx, gRPC UNAVAILABLE and the like, a reset stream.</summary>
    Failure,

    /// <summary>No connection came about, nothing was sent.</summary>
    ConnectFailure,

    /// <summary>
    /// The caller gave up, or its time was over. Not held against the instance's health, but the time waited is a lower bound of its
    /// latency.
    /// </summary>
    Cancelled,
}
