using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Registration;

/// <summary>The names of Kestrel's endpoints. Kestrel tells bound addresses without them, so they are matched with the configuration.</summary>
internal sealed class EndpointNames
{
    private readonly List<(string Name, BindingAddress Address)> _configured = [];

    public EndpointNames(IConfiguration configuration)
    {
        foreach (var endpoint in configuration.GetSection("Kestrel:Endpoints").GetChildren())
        {
            if (endpoint["Url"] is { Length: > 0 } url)
            {
                try
                {
                    _configured.Add((endpoint.Key, BindingAddress.Parse(url)));
                }
                catch (FormatException)
                {
                    // Kestrel itself reports an URL it cannot bind; it has no bound address to be named.
                }
            }
        }
    }

    /// <summary>The name of the endpoint behind a bound address: the configured one if it is certain, else the scheme.</summary>
    public string Match(BindingAddress bound)
    {
        var sameScheme = _configured.Where(c => c.Address.Scheme.Equals(bound.Scheme, StringComparison.OrdinalIgnoreCase)).ToList();
        var candidates = sameScheme.Where(c => c.Address.Port == bound.Port).ToList();
        if (candidates.Count == 0)
        {
            candidates = [.. sameScheme.Where(static c => c.Address.Port == 0)];
        }

        return candidates is [var only] ? only.Name : bound.Scheme.ToLowerInvariant();
    }
}
