namespace Discovery.AspNetCore;

/// <summary>Withdrawing while the application's health checks fail.</summary>
public sealed class RegistrationHealthOptions
{
    internal const string DefaultTag = "ready";

    /// <summary>
    /// The tag of the health checks that decide. Default: <c>ready</c>; empty: all checks; without any such check the application
    /// counts as healthy. Choose checks that speak of this instance: one on a shared database takes out all instances at once.
    /// </summary>
    public string Tag { get; set; } = DefaultTag;

    /// <summary>Whether health decides at all. Default: <see langword="true"/>.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>
    /// The pause between two runs of the checks. Default: 5 s. An application that was not healthy yet since its start is asked every
    /// second at least, and registered after the first run that succeeds.
    /// </summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long one run may take before it counts as failed. Default: 10 s.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How many runs in a row must fail before the application withdraws. Default: 2.</summary>
    public int UnhealthyThreshold { get; set; } = 2;

    /// <summary>How many runs in a row must succeed before it comes back. Default: 2.</summary>
    public int HealthyThreshold { get; set; } = 2;

    /// <summary>
    /// How many other instances of each of its services must be left for the application to withdraw; with fewer it stays, or comes back,
    /// although it is unhealthy. Needs the right to read the services' keys. Default: 0.
    /// </summary>
    public int MinimumInstances { get; set; }
}
