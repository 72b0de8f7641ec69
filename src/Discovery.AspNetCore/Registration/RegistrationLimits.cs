namespace Discovery.AspNetCore.Registration;

/// <summary>What the settings that a registration runs on may be, whatever it registers.</summary>
internal static class RegistrationLimits
{
    public static readonly TimeSpan LeastTimeToLive = TimeSpan.FromSeconds(2);
    public static readonly TimeSpan MostTimeToLive = TimeSpan.FromHours(1);
    public static readonly TimeSpan LeastLimit = TimeSpan.FromMilliseconds(100);
    public static readonly TimeSpan LongestPhase = TimeSpan.FromHours(1);

    public static bool IsInstanceId(string? id) => id is null || !(string.IsNullOrWhiteSpace(id) || id.Any(char.IsControl));

    public static bool IsTimeToLive(TimeSpan value)
        => value >= LeastTimeToLive && value <= MostTimeToLive && value.Ticks % TimeSpan.TicksPerSecond == 0;

    /// <summary>Whether it is valid for <c>DrainDelay</c> and <c>LeaveDelay</c>.</summary>
    public static bool IsDelay(TimeSpan value) => value >= TimeSpan.Zero && value <= LongestPhase;

    /// <summary>Whether it is valid for <c>StopTimeout</c> and the times of the health checks.</summary>
    public static bool IsLimit(TimeSpan value) => value >= LeastLimit && value <= LongestPhase;
}
