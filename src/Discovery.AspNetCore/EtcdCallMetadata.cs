namespace Discovery.AspNetCore;

/// <summary>
/// The names of gRPC metadata, or request headers, by which one call is steered. They are for the balancer and are removed before the
/// call is sent.
/// </summary>
public static class EtcdCallMetadata
{
    /// <summary>What the policy <c>ConsistentHash</c> chooses by, e.g. a user's id.</summary>
    public const string HashKey = "discovery-hash-key";

    /// <summary>The id or the address of the instance that is to be called, and no other.</summary>
    public const string Instance = "discovery-instance";

    /// <summary>The version of the service that is to be called.</summary>
    public const string Version = "discovery-version";

    /// <summary>
    /// With any value, asks which instance answers. Its id, or else its address, comes as response metadata of the same name.
    /// </summary>
    public const string ServedBy = "discovery-served-by";
}
