namespace Discovery.AspNetCore.Registration;

/// <summary>
/// What a registration runs on that is switched off, and whose settings are not validated for that reason: those of them that are valid, else
/// the defaults. Some hold until the next start, should it be switched on before, and keys that stand when it is switched off drain by others.
/// </summary>
internal static class DisabledSettings
{
    private static readonly EtcdRegistrationOptions Default = new();

    /// <summary>The settings without what says which services are registered, and how.</summary>
    public static EtcdRegistrationOptions From(EtcdRegistrationOptions options) => new()
    {
        Enabled = false,
        FailFast = options.FailFast,
        StartWithdrawn = options.StartWithdrawn,
        InstanceId = RegistrationLimits.IsInstanceId(options.InstanceId) ? options.InstanceId : null,
        TimeToLive = RegistrationLimits.IsTimeToLive(options.TimeToLive) ? options.TimeToLive : Default.TimeToLive,
        GracefulStop = options.GracefulStop,
        DrainDelay = RegistrationLimits.IsDelay(options.DrainDelay) ? options.DrainDelay : Default.DrainDelay,
        LeaveDelay = RegistrationLimits.IsDelay(options.LeaveDelay) ? options.LeaveDelay : Default.LeaveDelay,
        StopTimeout = RegistrationLimits.IsLimit(options.StopTimeout) ? options.StopTimeout : Default.StopTimeout,
        Health =
        {
            Enabled = options.Health.Enabled,
            Tag = options.Health.Tag,
            Interval = RegistrationLimits.IsLimit(options.Health.Interval) ? options.Health.Interval : Default.Health.Interval,
            Timeout = RegistrationLimits.IsLimit(options.Health.Timeout) ? options.Health.Timeout : Default.Health.Timeout,
            UnhealthyThreshold = options.Health.UnhealthyThreshold,
            HealthyThreshold = options.Health.HealthyThreshold,
        },
    };
}
