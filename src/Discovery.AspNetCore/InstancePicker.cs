namespace Discovery.AspNetCore;

/// <summary>Chooses among a fixed set of instances. Thread-safe; a pick takes no lock and allocates nothing.</summary>
public abstract class InstancePicker
{
    /// <summary>Chooses an instance for a call.</summary>
    /// <param name="arguments">What is known of the call.</param>
    public abstract InstanceState Pick(in PickArguments arguments);

    /// <summary>Whether a pick goes by the load of instances, in which slow start is counted.</summary>
    internal virtual bool GoesByLoad(in PickArguments arguments) => false;
}
