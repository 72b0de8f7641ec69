using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Configuration;

/// <summary>The clients that the application registered, by name. Filled while services are added, read afterwards.</summary>
internal sealed class DiscoveryClients
{
    private readonly Dictionary<string, DiscoveryClient> _byName = new(StringComparer.Ordinal);

    public IEnumerable<DiscoveryClient> All => _byName.Values;

    public static DiscoveryClients Of(IServiceCollection services)
        => services.FirstOrDefault(static d => d.ServiceType == typeof(DiscoveryClients))?.ImplementationInstance as DiscoveryClients
            ?? throw new InvalidOperationException("Discovery is not added to these services; call AddEtcdDiscovery first.");

    /// <summary>Finds a client, or adds it.</summary>
    /// <exception cref="InvalidOperationException">The client is bound to another service already.</exception>
    public DiscoveryClient GetOrAdd(string clientName, string serviceName)
    {
        if (!_byName.TryGetValue(clientName, out var client))
        {
            _byName[clientName] = client = new DiscoveryClient(clientName, serviceName);
        }
        else if (client.ServiceName != serviceName)
        {
            throw new InvalidOperationException(
                $"The client '{clientName}' discovers service '{client.ServiceName}' already and cannot discover '{serviceName}' too.");
        }

        return client;
    }

    public DiscoveryClient? Find(string clientName) => _byName.GetValueOrDefault(clientName);

    /// <summary>The service that options of this name are for: those of a customised client, or of the service itself.</summary>
    public string ServiceOf(string optionsName)
        => _byName.Values.FirstOrDefault(c => c.OptionsName == optionsName)?.ServiceName ?? optionsName;
}

/// <summary>One client of a service.</summary>
internal sealed class DiscoveryClient(string name, string serviceName)
{
    public string Name => name;

    public string ServiceName => serviceName;

    /// <summary>Whether code sets something for this client alone; it then has connections of its own.</summary>
    public bool IsCustomised { get; set; }

    /// <summary>What code does to each endpoint's transport.</summary>
    public List<Action<SocketsHttpHandler>> Transport { get; } = [];

    /// <summary>The name of its options and of its pool: clients of one service share them unless they differ.</summary>
    public string OptionsName => IsCustomised ? $"{name}@{serviceName}" : serviceName;
}
