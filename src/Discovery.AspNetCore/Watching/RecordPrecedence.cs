namespace Discovery.AspNetCore.Watching;

/// <summary>Which of several records speaks for an address.</summary>
internal static class RecordPrecedence
{
    /// <summary>The layouts as they count: those that say more of an instance first, else in the given order.</summary>
    public static IEnumerable<IServiceLayout> Order(IEnumerable<IServiceLayout> layouts) => layouts.OrderByDescending(static l => l.SupportsMetadata);

    /// <summary>Within one layout, the greatest counts: a record that does not drain, else the one written last.</summary>
    public static (bool Serves, long Revision) Of(ServiceInstance instance) => (!instance.IsDraining, instance.Revision);

    /// <summary>Among layouts that say more or less of an instance, the greatest counts: a record that does not drain, else the one that says more.</summary>
    public static (bool Serves, bool SaysMore, long Revision) Of(ServiceInstance instance, bool saysMore) => (!instance.IsDraining, saysMore, instance.Revision);

    /// <summary>Whether a record counts although a layout that comes earlier has one too: where that drains and this does not.</summary>
    public static bool Replaces(ServiceInstance instance, ServiceInstance earlier) => earlier.IsDraining && !instance.IsDraining;
}
