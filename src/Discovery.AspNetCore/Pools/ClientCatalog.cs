using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Pools;

/// <summary>The clients that the application registered, by name. Filled while services are added, read afterwards.</summary>
internal sealed class ClientCatalog
{
    private readonly Dictionary<string, RegisteredClient> _byName = new(StringComparer.Ordinal);

    public IEnumerable<RegisteredClient> All => _byName.Values;

    public static ClientCatalog Of(IServiceCollection services)
        => services.FirstOrDefault(static d => d.ServiceType == typeof(ClientCatalog))?.ImplementationInstance as ClientCatalog
            ?? throw new InvalidOperationException("Discovery is not added to these services; call AddEtcdDiscovery first.");

    /// <summary>Finds a client, or adds it.</summary>
    /// <exception cref="InvalidOperationException">The client is bound to another service already.</exception>
    public RegisteredClient GetOrAdd(string clientName, string serviceName)
    {
        if (!_byName.TryGetValue(clientName, out var client))
        {
            _byName[clientName] = client = new RegisteredClient(clientName, serviceName);
        }
        else if (client.ServiceName != serviceName)
        {
            throw new InvalidOperationException(
                $"The client '{clientName}' discovers service '{client.ServiceName}' already and cannot discover '{serviceName}' too.");
        }

        return client;
    }

    public RegisteredClient? Find(string clientName) => _byName.GetValueOrDefault(clientName);

    /// <summary>The service that options of this name are for: those of a customised client, or of the service itself.</summary>
    public string ServiceOf(string optionsName)
        => _byName.Values.FirstOrDefault(c => c.OptionsName == optionsName)?.ServiceName ?? optionsName;
}
