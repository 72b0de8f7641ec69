namespace Discovery.Etcd.Leasing;

/// <summary>Where a wanted key stands.</summary>
internal enum WantedState
{
    /// <summary>etcd has to be brought in line.</summary>
    Open,

    /// <summary>etcd holds what is wanted.</summary>
    Settled,

    /// <summary>It is in other hands and left alone.</summary>
    Taken,
}

/// <summary>One key that should stand in etcd, or should be gone. Used under the lock of its <see cref="WantedKeys"/>.</summary>
internal sealed class WantedKey(string key)
{
    public string Key => key;

    /// <summary>The value that should stand; <see langword="null"/> for "gone".</summary>
    public byte[]? Value { get; set; }

    /// <summary>Counts the wishes of all keys, so that a wait can tell which came before it.</summary>
    public long Version { get; set; }

    public WantedState State { get; set; }

    /// <summary>Whether the key is to be written whoever holds it now: so it is when the user puts it, and not when we repair it.</summary>
    public bool TakeOver { get; set; }

    /// <summary>The revision of the key's last change that we know of; 0 when it is absent.</summary>
    public long Revision { get; set; }

    /// <summary>The revision of the cluster that our knowledge of the key is from.</summary>
    public long KnownAt { get; set; }

    /// <summary>Whether a task works on it.</summary>
    public bool IsBusy { get; set; }

    public EtcdWatch? Watch { get; set; }
}
