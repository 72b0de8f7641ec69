using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>Reads which services the clients call for which code names none.</summary>
internal static class ClientServiceNames
{
    /// <summary>Names the service of each such client.</summary>
    /// <param name="clients">The clients.</param>
    /// <param name="configuration">The configuration.</param>
    /// <exception cref="OptionsValidationException">A name in the settings can be no service's.</exception>
    public static void Read(ClientCatalog clients, IConfiguration configuration)
    {
        var section = configuration.GetSection(Sections.Clients);
        foreach (var client in clients.All.Where(static c => c.IsServiceNameDefault))
        {
            var setting = section.GetSection(client.Name).GetSection(nameof(ClientSettings.Service));
            if (string.IsNullOrEmpty(setting.Value))
            {
                client.ServiceName = client.RegisteredServiceName;
            }
            else if (ServiceNames.GetProblem(setting.Value) is { } problem)
            {
                throw new OptionsValidationException(
                    client.Name, typeof(EtcdDiscoveryOptions), [$"{setting.Path} is '{ForeignText.HideUser(setting.Value)}': {problem}."]);
            }
            else
            {
                client.ServiceName = setting.Value;
            }
        }
    }
}
