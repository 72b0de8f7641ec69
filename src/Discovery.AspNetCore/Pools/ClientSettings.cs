namespace Discovery.AspNetCore.Pools;

/// <summary>What is set for a client, by its name. How it calls is set for its service.</summary>
internal sealed class ClientSettings
{
    /// <summary>
    /// The service that the client calls, exact and case-sensitive, where code does not name one. Default: the client's name, which for a
    /// typed gRPC client is that of its contract, e.g. helloworld.Greeter. Read at the start.
    /// </summary>
    public string? Service { get; set; }
}
