using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>What code sets for one client alone.</summary>
internal sealed class ConfigureDiscoveringClient(RegisteredClient client, Action<EtcdDiscoveryOptions> configure) : IConfigureNamedOptions<EtcdDiscoveryOptions>
{
    public void Configure(EtcdDiscoveryOptions options) => Configure(Options.DefaultName, options);

    public void Configure(string? name, EtcdDiscoveryOptions options)
    {
        if (name == client.OptionsName)
        {
            configure(options);
        }
    }
}
