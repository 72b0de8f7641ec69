using System.Net.Http.Headers;

namespace Discovery.AspNetCore.Http;

/// <summary>The metadata by which one call is steered. It is for the balancer, and never sent.</summary>
internal readonly record struct CallSteering(string? HashKey, string? Instance)
{
    private const string HashKeyHeader = "discovery-hash-key";
    private const string InstanceHeader = "discovery-instance";

    /// <summary>Takes the steering out of a request's headers.</summary>
    public static CallSteering TakeFrom(HttpRequestHeaders headers) => new(Take(headers, HashKeyHeader), Take(headers, InstanceHeader));

    private static string? Take(HttpRequestHeaders headers, string name)
    {
        if (!headers.NonValidated.TryGetValues(name, out var values))
        {
            return null;
        }

        var value = values.ToString();
        headers.Remove(name);
        return value;
    }
}
