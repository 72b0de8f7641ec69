using Discovery.AspNetCore.Hosting;
using Discovery.AspNetCore.Layouts;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Pools;

/// <summary>The clients that the application registered, by name. Filled while services are added, read afterwards.</summary>
internal sealed class ClientCatalog
{
    /// <summary>The key of the catalog as it is filled; without a key it has the names that the settings say.</summary>
    private const string Registrations = nameof(ClientCatalog);

    private readonly Dictionary<string, RegisteredClient> _byName = new(StringComparer.Ordinal);

    public IEnumerable<RegisteredClient> All => _byName.Values;

    /// <summary>Adds an empty catalog.</summary>
    public static void Add(IServiceCollection services)
    {
        services.AddKeyedSingleton(Registrations, new ClientCatalog());
        services.AddSingleton(static s =>
        {
            var catalog = s.GetRequiredKeyedService<ClientCatalog>(Registrations);
            catalog.ReadServiceNames(s.GetRequiredService<IConfiguration>());
            return catalog;
        });
    }

    /// <summary>Whether the services have a catalog.</summary>
    public static bool IsIn(IServiceCollection services) => services.Any(static d => d.ServiceType == typeof(ClientCatalog));

    public static ClientCatalog Of(IServiceCollection services)
        => services.FirstOrDefault(static d => d.ServiceType == typeof(ClientCatalog) && d.IsKeyedService)?.KeyedImplementationInstance as ClientCatalog
            ?? throw new InvalidOperationException("Discovery is not added to these services; call AddEtcdDiscovery first.");

    /// <summary>Finds a client, or adds it.</summary>
    /// <param name="clientName">The client's name.</param>
    /// <param name="serviceName">The service that it calls.</param>
    /// <param name="isDefault">Whether the settings may name another service, as code has named none.</param>
    /// <exception cref="InvalidOperationException">The client is bound to another service already.</exception>
    public RegisteredClient GetOrAdd(string clientName, string serviceName, bool isDefault)
    {
        if (!_byName.TryGetValue(clientName, out var client))
        {
            _byName[clientName] = client = new RegisteredClient(clientName, serviceName, isDefault);
        }
        else if (client.RegisteredServiceName != serviceName)
        {
            throw new InvalidOperationException(
                $"The client '{clientName}' discovers service '{client.RegisteredServiceName}' already and cannot discover '{serviceName}' too.");
        }

        return client;
    }

    public RegisteredClient? Find(string clientName) => _byName.GetValueOrDefault(clientName);

    /// <summary>The service that options of this name are for: those of a customised client, or of the service itself.</summary>
    public string ServiceOf(string optionsName)
        => _byName.Values.FirstOrDefault(c => c.OptionsName == optionsName)?.ServiceName ?? optionsName;

    /// <exception cref="OptionsValidationException">A name in the settings can be no service's.</exception>
    private void ReadServiceNames(IConfiguration configuration)
    {
        var clients = configuration.GetSection(Sections.Clients);
        foreach (var client in _byName.Values.Where(static c => c.IsServiceNameDefault))
        {
            var setting = clients.GetSection(client.Name).GetSection(nameof(ClientSettings.Service));
            if (string.IsNullOrEmpty(setting.Value))
            {
                client.ServiceName = client.RegisteredServiceName;
            }
            else if (ServiceNames.GetProblem(setting.Value) is { } problem)
            {
                throw new OptionsValidationException(
                    client.Name, typeof(EtcdDiscoveryOptions), [$"{setting.Path} is '{setting.Value}': {problem}."]);
            }
            else
            {
                client.ServiceName = setting.Value;
            }
        }
    }
}
