namespace Discovery.AspNetCore;

/// <summary>
/// What can be said of, and learnt from, one request of an HttpClient by <see cref="HttpRequestMessage.Options"/>. They never leave the
/// process. Calls of gRPC clients say the same by metadata, see <see cref="EtcdCallMetadata"/>, which wins where both are set.
/// </summary>
public static class EtcdRequestOptions
{
    /// <summary>What the policy <c>ConsistentHash</c> chooses by, e.g. a user's id.</summary>
    public static readonly HttpRequestOptionsKey<string> HashKey = new(EtcdCallMetadata.HashKey);

    /// <summary>The id or the address of the instance that is to be called, and no other.</summary>
    public static readonly HttpRequestOptionsKey<string> Instance = new(EtcdCallMetadata.Instance);

    /// <summary>The version of the service that is to be called.</summary>
    public static readonly HttpRequestOptionsKey<string> Version = new(EtcdCallMetadata.Version);

    /// <summary>
    /// The instance that the request was sent to last. A response with a body has it unasked, see
    /// <see cref="EtcdHttpResponseMessageExtensions.GetServedBy"/>. To ask for it, set it to <see langword="null"/> before the request is sent; then
    /// discovery sets it, whatever the answer. It is set unasked where it costs nothing: on requests that have other options, as those
    /// under a resilience handler do, and on those that failed.
    /// </summary>
    public static readonly HttpRequestOptionsKey<ServiceInstance?> ServedBy = new("discovery-served-by");
}
