using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;

namespace Discovery.AspNetCore.Registration.Addresses;

/// <summary>
/// The names of Kestrel's endpoints. Where Kestrel does not tell them with what it has bound, the addresses are matched with the configuration.
/// </summary>
internal sealed class EndpointNames
{
    private readonly List<(string Name, BindingAddress Address)> _configured = [];
    private readonly IReadOnlyList<ListenOptions> _bound;

    /// <summary>Reads the configuration.</summary>
    /// <param name="configuration">Says what is set for Kestrel.</param>
    /// <param name="bound">What Kestrel has bound; null when the server is another one.</param>
    public EndpointNames(IConfiguration configuration, IReadOnlyList<ListenOptions>? bound)
    {
        _bound = bound ?? [];
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
    public IReadOnlyList<string> Match(IReadOnlyList<BindingAddress> bound) => Told(bound) ?? Guess(bound);

    /// <summary>What Kestrel tells, which is certain; null when it does not tell of all.</summary>
    private List<string>? Told(IReadOnlyList<BindingAddress> bound)
    {
        var names = new List<string>();
        foreach (var address in bound)
        {
            if (KestrelEndpoints.Find(_bound, address) is not { } endpoint || !KestrelEndpoints.TryGetName(endpoint, out var name))
            {
                return null;
            }

            names.Add(name ?? address.Scheme.ToLowerInvariant());
        }

        return names;
    }

    private List<string> Guess(IReadOnlyList<BindingAddress> bound)
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
            && (configured.Host.Equals(bound.Host, StringComparison.OrdinalIgnoreCase)
                || (IPAddress.TryParse(configured.Host, out var one) && IPAddress.TryParse(bound.Host, out var other) && one.Equals(other)));

    private string? Find(Func<BindingAddress, bool> condition)
        => _configured.FindAll(c => condition(c.Address)) is [var only] ? only.Name : null;
}
