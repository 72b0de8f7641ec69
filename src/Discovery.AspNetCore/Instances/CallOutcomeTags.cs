namespace Discovery.AspNetCore.Instances;

/// <summary>How metrics and traces write an outcome.</summary>
internal static class CallOutcomeTags
{
    public static string ToTag(this CallOutcome outcome) => outcome switch
    {
        CallOutcome.Success => "success",
        CallOutcome.Failure => "failure",
        CallOutcome.ConnectFailure => "connect_failure",
        CallOutcome.Cancelled => "cancelled",
        CallOutcome.TimedOut => "timed_out",
        CallOutcome.Refused => "refused",
        CallOutcome.NotFound => "not_found",
        CallOutcome.Unimplemented => "unimplemented",
        CallOutcome.WrongServer => "wrong_server",
        CallOutcome.Overloaded => "overloaded",
        _ => "unknown_error",
    };
}
