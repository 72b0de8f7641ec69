using Discovery.AspNetCore.Instances;

namespace Discovery.AspNetCore.Diagnostics.Metrics;

/// <summary>The values of tags, as conventions write them.</summary>
internal static class TagValues
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

    public static string ToTag(this ServiceChangeReason reason) => reason switch
    {
        ServiceChangeReason.Listed => "listed",
        ServiceChangeReason.Watched => "watched",
        ServiceChangeReason.Reconciled => "reconciled",
        ServiceChangeReason.ListedWithoutQuorum => "listed_without_quorum",
        ServiceChangeReason.ReadFromDisk => "read_from_disk",
        ServiceChangeReason.HoldEnded => "hold_ended",
        _ => "configured",
    };

    public static string ToTag(this ServiceRegistrationState state) => state switch
    {
        ServiceRegistrationState.NotStarted => "not_started",
        ServiceRegistrationState.Disabled => "disabled",
        ServiceRegistrationState.NoAddress => "no_address",
        ServiceRegistrationState.NoEndpoint => "no_endpoint",
        ServiceRegistrationState.Registering => "registering",
        ServiceRegistrationState.Registered => "registered",
        ServiceRegistrationState.Withdrawn => "withdrawn",
        ServiceRegistrationState.Unhealthy => "unhealthy",
        ServiceRegistrationState.Draining => "draining",
        _ => "stopped",
    };
}
