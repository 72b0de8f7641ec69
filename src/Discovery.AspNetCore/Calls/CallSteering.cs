using System.Net.Http.Headers;

namespace Discovery.AspNetCore.Calls;

/// <summary>The metadata by which one call is steered. It is for the balancer, and never sent.</summary>
internal readonly record struct CallSteering(string? HashKey, string? Instance)
{
    private const string HashKeyHeader = "discovery-hash-key";
    private const string InstanceHeader = "discovery-instance";

    /// <summary>Whether the call has none.</summary>
    public bool IsNone => HashKey is null && Instance is null;

    /// <summary>Removes the steering from a request's headers.</summary>
    public static CallSteering TakeFrom(HttpRequestHeaders headers) => new(Take(headers, HashKeyHeader), Take(headers, InstanceHeader));

    /// <summary>Restores it when the attempt is over: a handler above that tries again sends the same request.</summary>
    public void PutBack(HttpRequestHeaders headers)
    {
        Put(headers, HashKeyHeader, HashKey);
        Put(headers, InstanceHeader, Instance);
    }

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

    private static void Put(HttpRequestHeaders headers, string name, string? value)
    {
        if (value is not null)
        {
            headers.TryAddWithoutValidation(name, value);
        }
    }
}
