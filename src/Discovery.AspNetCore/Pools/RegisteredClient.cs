namespace Discovery.AspNetCore.Pools;

/// <summary>One client of a service.</summary>
internal sealed class RegisteredClient(string name, string serviceName)
{
    public string Name => name;

    public string ServiceName => serviceName;

    /// <summary>Whether code sets something for this client alone; it then has connections of its own.</summary>
    public bool IsCustomised { get; set; }

    /// <summary>What code does to each instance's transport.</summary>
    public List<Action<SocketsHttpHandler>> Transport { get; } = [];

    /// <summary>The name of its options and of its pool: clients of one service share them unless they differ.</summary>
    public string OptionsName => IsCustomised ? $"{name}@{serviceName}" : serviceName;
}
