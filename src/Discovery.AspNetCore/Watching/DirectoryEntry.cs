namespace Discovery.AspNetCore.Watching;

/// <summary>A service of the directory and who needs it. The directory's lock guards it.</summary>
internal sealed class DirectoryEntry(IWatchedService service, EtcdDiscoveryOptions options)
{
    public IWatchedService Service => service;

    /// <summary>The options it is watched by: those of whoever came first.</summary>
    public EtcdDiscoveryOptions Options => options;

    /// <summary>How many pools and subscriptions need it.</summary>
    public int Users { get; set; }

    /// <summary>When somebody last asked for it.</summary>
    public long AskedAt { get; set; }

    /// <summary>Whether it was said that others want it watched otherwise.</summary>
    public bool IsContradicted { get; set; }
}
