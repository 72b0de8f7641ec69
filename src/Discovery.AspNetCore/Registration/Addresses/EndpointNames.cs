using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Registration.Addresses;

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
                    var address = BindingAddress.Parse(url);
                    if (address is { IsUnixPipe: false, IsNamedPipe: false })
                    {
                        _configured.Add((endpoint.Key, address));
                    }
                }
                catch (FormatException)
                {
                    // Kestrel itself reports an URL it cannot bind; it has no bound address to be named.
                }
            }
        }
    }

    /// <summary>The name of the endpoint behind each bound address: the configured one if it is certain, else the scheme.</summary>
    public IReadOnlyList<string> Match(IReadOnlyList<BindingAddress> bound)
    {
        var names = bound.Select(b => Find(c => c.Port == b.Port && IsSame(c, b)) ?? Find(c => c.Port == b.Port && HasScheme(c, b))).ToArray();
        foreach (var group in Enumerable.Range(0, bound.Count).Where(i => names[i] is null).GroupBy(i => bound[i].Scheme, StringComparer.OrdinalIgnoreCase))
        {
            // Ports that the system chose are told in the order in which the endpoints stand in the configuration, if nothing else is bound.
            var dynamic = _configured.FindAll(c => c.Address.Port == 0 && HasScheme(c.Address, bound[group.First()]));
            foreach (var (endpoint, i) in dynamic.Count == group.Count() ? dynamic.Zip(group) : [])
            {
                names[i] = endpoint.Name;
            }
        }

        return [.. names.Select((name, i) => name ?? bound[i].Scheme.ToLowerInvariant())];
    }

    private static bool HasScheme(BindingAddress configured, BindingAddress bound)
        => configured.Scheme.Equals(bound.Scheme, StringComparison.OrdinalIgnoreCase);

    private static bool IsSame(BindingAddress configured, BindingAddress bound)
        => HasScheme(configured, bound)
            && IPAddress.TryParse(configured.Host, out var one) && IPAddress.TryParse(bound.Host, out var other) && one.Equals(other);

    private string? Find(Func<BindingAddress, bool> condition)
        => _configured.FindAll(c => condition(c.Address)) is [var only] ? only.Name : null;
}
