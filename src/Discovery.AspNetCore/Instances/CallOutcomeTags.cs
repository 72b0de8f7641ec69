namespace Discovery.AspNetCore.Instances;

/// <summary>What metrics and traces say of an outcome.</summary>
internal static class CallOutcomeTags
{
    /// <summary>Whether the instance answered, be it that the caller is wrong.</summary>
    public static bool IsAnswer(this CallOutcome outcome)
        => outcome is CallOutcome.Success or CallOutcome.Redirected or CallOutcome.Refused or CallOutcome.NotFound or CallOutcome.Denied
            or CallOutcome.CallersError;

    public static string ToTag(this CallOutcome outcome) => outcome switch
    {
        CallOutcome.Success or CallOutcome.Redirected => "success",
        CallOutcome.Failure or CallOutcome.SameFailure => "failure",
        CallOutcome.ConnectFailure => "connect_failure",
        CallOutcome.Cancelled => "cancelled",
        CallOutcome.TimedOut or CallOutcome.Stalled => "timed_out",
        CallOutcome.Refused or CallOutcome.Denied or CallOutcome.CallersError => "refused",
        CallOutcome.NotFound => "not_found",
        CallOutcome.Unimplemented => "unimplemented",
        CallOutcome.WrongServer => "wrong_server",
        CallOutcome.Overloaded => "overloaded",
        _ => "unknown_error",
    };
}
