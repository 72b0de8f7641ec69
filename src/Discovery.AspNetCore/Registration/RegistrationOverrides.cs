namespace Discovery.AspNetCore.Registration;

/// <summary>What code and health checks set over the settings. It outlives reloads, and may be set before the application starts.</summary>
internal sealed class RegistrationOverrides
{
    private const int Unset = -1;

    private volatile int _weight = Unset;
    private volatile int _withdrawn = Unset;
    private volatile bool _unhealthy;

    /// <summary>The weight that code has set; null: as the settings say.</summary>
    public int? Weight
    {
        get => _weight is var weight and not Unset ? weight : null;
        set => _weight = value ?? Unset;
    }

    public bool IsWithdrawn
    {
        get => _withdrawn == 1;
        set => _withdrawn = value ? 1 : 0;
    }

    /// <summary>Whether code or the settings have said whether the application is withdrawn.</summary>
    public bool IsWithdrawnSet => _withdrawn != Unset;

    /// <summary>What the settings say about it at the start, unless code has said something.</summary>
    public void StartWithdrawn(bool value) => Interlocked.CompareExchange(ref _withdrawn, value ? 1 : 0, Unset);

    public bool IsUnhealthy
    {
        get => _unhealthy;
        set => _unhealthy = value;
    }
}
