using System.Data.Common;
using Discovery.AspNetCore.Hosting.Settings;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// A connection string of etcd: the client URLs alone, separated by commas, or <c>Endpoints=http://10.0.0.1:2379;Username=shop;Password=…</c>
/// as Aspire hands it on. No message repeats it, for it may hold a password.
/// </summary>
internal sealed class EtcdConnectionString
{
    public const string Section = "ConnectionStrings";
    private const string Example =
        "write the client URLs alone, e.g. http://10.0.0.1:2379, or Endpoints=http://10.0.0.1:2379;Username=shop;Password=… A value with a "
        + "semicolon stands in double quotes.";

    private static readonly string[] Keywords = [nameof(Endpoints), nameof(Username), nameof(Password)];

    private EtcdConnectionString(IList<string> endpoints, string? username, string? password)
        => (Endpoints, Username, Password) = (endpoints, username, password);

    public IList<string> Endpoints { get; }

    public string? Username { get; }

    public string? Password { get; }

    /// <summary>The setting of the connection string with a name.</summary>
    public static string SettingOf(string name) => $"{Section}:{name}";

    /// <summary>That it may stand in place of endpoints.</summary>
    public static string DescribeInstead(string name) => $"The connection string '{name}' ({SettingOf(name)}) does as well";

    /// <summary>Reads the connection string with a name, or returns null when there is none.</summary>
    /// <exception cref="OptionsValidationException">It cannot be read.</exception>
    public static EtcdConnectionString? Read(IConfiguration configuration, string name)
    {
        var setting = SettingOf(name);
        if (configuration.GetSection(setting).GetChildren().Any(static c => !SettingList.IsEntry(c)))
        {
            throw Problem($"{setting} is a section with settings of its own; it must be one text: {Example}");
        }

        var entries = Sections.ReadEntries(configuration, configuration.GetSection(Section), name);
        if (entries is null)
        {
            return null;
        }

        if (!entries.Exists(static e => e.Contains('=', StringComparison.Ordinal)))
        {
            return new EtcdConnectionString([.. entries.SelectMany(Sections.SplitList)], null, null);
        }

        return entries is [var text]
            ? Parse(setting, text)
            : throw Problem($"{setting} is a list, one of whose entries has more than client URLs; it must be one text: {Example}");
    }

    private static EtcdConnectionString Parse(string setting, string text)
    {
        var parts = new DbConnectionStringBuilder();
        try
        {
            parts.ConnectionString = text;
        }
        catch (ArgumentException)
        {
            throw Problem($"{setting} cannot be read: {Example}");
        }

        // The name of another part is not told either: it may be the rest of a password with a semicolon.
        if (parts.Keys.Cast<string>().Any(static k => !Keywords.Contains(k, StringComparer.OrdinalIgnoreCase)))
        {
            throw Problem($"{setting} has other parts than {string.Join(", ", Keywords)}: {Example}");
        }

        return new EtcdConnectionString(
            Sections.SplitList(Part(nameof(Endpoints)) ?? throw Problem($"{setting} has no part Endpoints: {Example}")),
            Part(nameof(Username)),
            Part(nameof(Password)));

        string? Part(string keyword) => parts.TryGetValue(keyword, out var value) ? (string)value : null;
    }

    private static OptionsValidationException Problem(string message) => new(Section, typeof(EtcdClientOptions), [message]);
}
