using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>Settings of a service that were written under the name of one of its clients, and the other way round.</summary>
internal static class ClientNames
{
    private static readonly string[] _clientsPath = Sections.Clients.Split(':');

    /// <summary>The client of this name or of a similar one.</summary>
    /// <param name="name">What stands in the settings, e.g. <c>GreeterClient</c>.</param>
    /// <param name="clients">The clients; those of gRPC have long names, such as <c>greeter/Helloworld.Greeter.GreeterClient</c>.</param>
    /// <param name="isExact">Whether a similar name is none.</param>
    public static RegisteredClient? Find(string name, IReadOnlyList<RegisteredClient> clients, bool isExact)
    {
        var named = clients.Where(static c => c.Name != c.ServiceName).SelectMany(static c => NamesOf(c.Name).Select(n => (Name: n, Client: c))).ToList();
        var similar = isExact ? null : SimilarName.Find(name, named.Select(static n => n.Name));
        return named.Find(n => n.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Client ?? named.Find(n => n.Name == similar).Client;
    }

    /// <summary>What to write instead where the name is a service's; null if it is none.</summary>
    public static string? DescribeService(string name, IReadOnlyList<RegisteredClient> clients)
    {
        var ofService = clients.Where(c => c.ServiceName.Equals(name, StringComparison.OrdinalIgnoreCase)).ToList();
        return ofService.Count == 0
            ? null
            : $"'{ofService[0].ServiceName}' is a service, whose settings are in {Sections.Services}:{ofService[0].ServiceName}; "
                + $"it is called by {string.Join(", ", ofService.Select(static c => $"'{c.Name}'"))}.";
    }

    /// <summary>Where a setting of a service belongs that stands among those of a client; null if it is none.</summary>
    public static string? DescribeSettingOfService(UnknownName unknown, ClientCatalog? clients)
        => unknown.Path.Split(':') is [.. var section, var name, var setting] && section.SequenceEqual(_clientsPath, StringComparer.OrdinalIgnoreCase)
            && KnownSettings.DiscoveredService.Find(setting) is not null
            ? $"It is one of services: write {Sections.Services}:"
                + $"{clients?.All.FirstOrDefault(c => c.Name.Equals(name, StringComparison.OrdinalIgnoreCase))?.ServiceName ?? "<service>"}:{setting}."
            : null;

    /// <summary>The whole name, and the class of a client that is named by its type.</summary>
    private static IEnumerable<string> NamesOf(string client)
        => client.Contains('/', StringComparison.Ordinal) ? [client, client[(client.LastIndexOfAny(['/', '.']) + 1)..]] : [client];
}
