using System.Globalization;
using System.Net.Http.Headers;

namespace Discovery.AspNetCore.Calls;

/// <summary>What one request says to the balancer, by headers or options. Most say nothing, and then there is no such object.</summary>
internal sealed class CallSteering
{
    private const string PreviousAttemptsHeader = "grpc-previous-rpc-attempts";

    private (string Name, string Value)[] _headers = [];

    // Empty is as unset: a gateway may hand on what it was not given, and one instance would get all calls of an empty key.
    public string? HashKey { get; private set => field = value is "" ? null : value; }

    public string? Instance { get; private set => field = value is "" ? null : value; }

    public string? Version { get; private set => field = value is "" ? null : value; }

    /// <summary>Where the attempts of the call say which instances they were sent to; null if nobody above makes several.</summary>
    public TriedInstances? Tried { get; private set; }

    /// <summary>How many attempts a gRPC client made before this one; each of them is a request of its own.</summary>
    public int PreviousAttempts { get; private set; }

    /// <summary>How many attempts were made before this one, by whatever is above.</summary>
    /// <param name="connects">How many of this request did not come to a connection.</param>
    public int AttemptsBefore(int connects)
        => Tried is { IsOfGrpc: true } ? Tried.Attempts : PreviousAttempts + (Tried?.Attempts ?? connects);

    /// <summary>Whether the caller asks by metadata which instance answers.</summary>
    public bool AsksServedBy { get; private set; }

    /// <summary>Where they failed; set once.</summary>
    public IReadOnlyList<InstanceState> FailedBefore { get; set; } = [];

    /// <summary>Whether something above tries again.</summary>
    public bool IsRetry => PreviousAttempts > 0 || Tried?.All.Length > 0;

    /// <summary>Reads what a request says, and removes it from its headers.</summary>
    /// <returns>What it says, or null if it says nothing.</returns>
    public static CallSteering? TakeFrom(HttpRequestMessage request)
    {
        var steering = ReadFrom(request);
        foreach (var (name, _) in steering?._headers ?? [])
        {
            request.Headers.Remove(name);
        }

        return steering;
    }

    /// <summary>Reads what a request says, and leaves it as it is.</summary>
    /// <returns>What it says, or null if it says nothing.</returns>
    public static CallSteering? ReadFrom(HttpRequestMessage request)
    {
        CallSteering? steering = null;
        foreach (var header in MessageParts.HeadersOf(request)?.NonValidated ?? default)
        {
            switch (NameOf(header.Key))
            {
                case EtcdCallMetadata.HashKey or EtcdCallMetadata.Instance or EtcdCallMetadata.Version or EtcdCallMetadata.ServedBy:
                    steering ??= new CallSteering();
                    steering._headers = [.. steering._headers, (header.Key, header.Value.ToString())];
                    break;
                case PreviousAttemptsHeader:
                    (steering ??= new CallSteering()).PreviousAttempts = PreviousAttemptsOf(request);
                    break;
            }
        }

        if (MessageParts.OptionsOf(request) is { } options)
        {
            steering = ReadOptions(options, steering);
        }

        foreach (var (name, value) in steering?._headers ?? [])
        {
            steering!.Set(NameOf(name), value);
        }

        return steering;
    }

    /// <summary>How many attempts a gRPC client says that it made before.</summary>
    public static int PreviousAttemptsOf(HttpRequestMessage request)
        => request.Headers.NonValidated.TryGetValues(PreviousAttemptsHeader, out var values)
            && int.TryParse(values.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var attempts) ? attempts : 0;

    /// <summary>Restores the headers when the attempt is over: a handler above that tries again may send the same request.</summary>
    public void PutBack(HttpRequestHeaders headers)
    {
        foreach (var (name, value) in _headers)
        {
            headers.TryAddWithoutValidation(name, value);
        }
    }

    /// <summary>The name as <see cref="EtcdCallMetadata"/> has it: names of headers have no case, and <c>Discovery-Hash-Key</c> is a usual one.</summary>
    private static string NameOf(string header) => header is ['d' or 'D', ..] ? header.ToLowerInvariant() : header;

    private static CallSteering? ReadOptions(HttpRequestOptions options, CallSteering? steering)
    {
        options.TryGetValue(EtcdRequestOptions.HashKey, out var hashKey);
        options.TryGetValue(EtcdRequestOptions.Instance, out var instance);
        options.TryGetValue(EtcdRequestOptions.Version, out var version);
        options.TryGetValue(TriedInstances.Key, out var tried);
        if ((hashKey, instance, version, tried) is not (null, null, null, null))
        {
            steering ??= new CallSteering();
            (steering.HashKey, steering.Instance, steering.Version, steering.Tried) = (hashKey, instance, version, tried);
        }

        return steering;
    }

    private void Set(string name, string value)
    {
        switch (name)
        {
            case EtcdCallMetadata.HashKey:
                HashKey = value;
                break;
            case EtcdCallMetadata.Instance:
                Instance = value;
                break;
            case EtcdCallMetadata.ServedBy:
                AsksServedBy = true;
                break;
            default:
                Version = value;
                break;
        }
    }
}
