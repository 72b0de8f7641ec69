using Discovery.AspNetCore.Hosting.Settings;
using Microsoft.Extensions.Configuration;

namespace Discovery.EmbeddedEtcd.Hosting;

/// <summary>
/// The settings that say where etcd is: <c>Etcd:Endpoints</c> as one text or as a list, and the connection string <c>etcd</c>.
/// </summary>
internal static class EndpointSettings
{
    public const string Endpoints = "Etcd:Endpoints";
    public const string ConnectionString = "ConnectionStrings:etcd";

    /// <summary>Whether clients of this application would find an etcd: a later source may empty what an earlier one has.</summary>
    public static bool IsConfigured(IConfiguration configuration)
        => new[] { Endpoints, ConnectionString }
            .SelectMany(key => SettingList.Read(configuration, configuration.GetSection(key)) ?? [])
            .Any(static entry => !string.IsNullOrWhiteSpace(entry));

    /// <summary>The settings that name an etcd, with what they say.</summary>
    public static IEnumerable<(string Key, string Value)> Configured(IConfiguration configuration)
        => Keys(configuration)
            .Select(key => (key, value: configuration[key]))
            .Where(static setting => !string.IsNullOrWhiteSpace(setting.value))
            .Select(static setting => (setting.key, setting.value!));

    /// <summary>
    /// Points all of them to one endpoint. A setting cannot be taken back by a later source, only be overwritten: so the text is, every
    /// entry of the list, and a connection string where there is one.
    /// </summary>
    public static void Overwrite(IConfigurationManager configuration, string endpoint)
    {
        var settings = Configured(configuration)
            .Select(static setting => setting.Key)
            .Concat(ListKeys(configuration))
            .Append(Endpoints)
            .Append(Endpoints + ":0")
            .Distinct(StringComparer.OrdinalIgnoreCase)
            .ToDictionary(static key => key, string? (_) => endpoint, StringComparer.OrdinalIgnoreCase);
        configuration.AddInMemoryCollection(settings);
    }

    /// <summary>The value as a message may show it.</summary>
    public static string Printable(string value) => value.AsSpan().ContainsAny('@', '=') ? "(not shown: it may hold a password)" : value;

    private static IEnumerable<string> Keys(IConfiguration configuration)
        => ListKeys(configuration).Prepend(Endpoints).Append(ConnectionString);

    private static IEnumerable<string> ListKeys(IConfiguration configuration)
        => configuration.GetSection(Endpoints).GetChildren().Select(static entry => entry.Path);
}
