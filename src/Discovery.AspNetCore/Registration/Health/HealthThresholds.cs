namespace Discovery.AspNetCore.Registration.Health;

/// <summary>
/// Applies the thresholds to a series of check runs. They keep one slow answer from moving traffic. An application that was not healthy
/// yet since its start needs one good run only: there is no traffic to flap.
/// </summary>
internal sealed class HealthThresholds
{
    private int _differing;

    /// <summary>Whether the application was healthy once.</summary>
    public bool WasHealthy { get; private set; }

    public bool IsHealthy { get; private set; }

    /// <summary>Counts a run.</summary>
    /// <returns>Whether the application's health changed.</returns>
    public bool Observe(bool succeeded, RegistrationHealthOptions options)
    {
        if (succeeded == IsHealthy)
        {
            _differing = 0;
            return false;
        }

        var needed = !succeeded ? options.UnhealthyThreshold : WasHealthy ? options.HealthyThreshold : 1;
        if (++_differing < needed)
        {
            return false;
        }

        _differing = 0;
        IsHealthy = succeeded;
        WasHealthy |= succeeded;
        return true;
    }
}
