namespace Discovery.AspNetCore.Registration;

/// <summary>What code and health checks set over the settings. It outlives reloads, and may be set before the application starts.</summary>
internal sealed class RegistrationOverrides
{
    private volatile int _weight;
    private volatile bool _withdrawn;
    private volatile bool _unhealthy;

    /// <summary>The weight that code has set; null: as the settings say.</summary>
    public int? Weight
    {
        get => _weight is var weight and not 0 ? weight : null;
        set => _weight = value ?? 0;
    }

    public bool IsWithdrawn
    {
        get => _withdrawn;
        set => _withdrawn = value;
    }

    public bool IsUnhealthy
    {
        get => _unhealthy;
        set => _unhealthy = value;
    }
}
