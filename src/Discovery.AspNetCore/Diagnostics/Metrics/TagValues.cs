namespace Discovery.AspNetCore.Diagnostics.Metrics;

/// <summary>The values of tags, as conventions write them.</summary>
internal static class TagValues
{
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
