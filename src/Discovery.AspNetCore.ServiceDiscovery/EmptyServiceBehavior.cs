namespace Discovery.AspNetCore;

/// <summary>What happens where etcd has no instance for a name.</summary>
public enum EmptyServiceBehavior
{
    /// <summary>The next provider is asked, and at last DNS. For names of services that DNS does not know the error is then one of DNS.</summary>
    FallThrough,

    /// <summary>
    /// The call fails with a <see cref="ServiceDiscoveryException"/> that says where was looked. For HttpClients; YARP does not start while one
    /// of its destinations fails.
    /// </summary>
    Fail,
}
