namespace Discovery.AspNetCore;

/// <summary>The keys of those services in the container that are this library's own.</summary>
public static class EtcdServiceKeys
{
    /// <summary>
    /// The key of the <see cref="System.TimeProvider"/> that leases, timeouts and watches go by. Default: that of the system, whatever the
    /// application has without a key: its clock may stand still or travel, and a lease must not follow it unasked. In a test:
    /// <c>services.AddKeyedSingleton&lt;TimeProvider&gt;(EtcdServiceKeys.TimeProvider, clock)</c>.
    /// </summary>
    public const string TimeProvider = "Etcd";
}
