using Discovery.AspNetCore.Calls;

namespace Discovery.AspNetCore;

/// <summary>What a response tells of discovery.</summary>
public static class EtcdHttpResponseMessageExtensions
{
    /// <summary>
    /// The instance that answered. A response with a body knows it unasked; one without (204, an answer to HEAD) only where the request asked by
    /// <see cref="EtcdRequestOptions.ServedBy"/>, had other options, or failed.
    /// </summary>
    /// <param name="response">A response to a client that discovers its service.</param>
    /// <returns>The instance; <see langword="null"/> when it is not known, or when the response did not come by discovery.</returns>
    public static ServiceInstance? GetServedBy(this HttpResponseMessage response)
    {
        ArgumentNullException.ThrowIfNull(response);
        return (response.Content as AnswerContent)?.Instance
            ?? (response.RequestMessage is { } request && MessageParts.OptionsOf(request)?.TryGetValue(EtcdRequestOptions.ServedBy, out var instance) == true
                ? instance : null);
    }
}
