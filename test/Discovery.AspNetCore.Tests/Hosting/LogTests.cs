using System.Reflection;
using Discovery.Etcd;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Hosting;

public sealed partial class LogTests
{
    private static readonly Dictionary<string, int> Rooms = new(StringComparer.Ordinal)
    {
        ["Hosting"] = 2000,
        ["Watching"] = 2100,
        ["Instances"] = 2200,
        ["Pools"] = 2300,
        ["Balancing"] = 2400,
        ["Calls"] = 2500,
        ["Connections"] = 2600,
        ["Registration"] = 2700,
        ["Diagnostics"] = 2800,
        ["Feeds"] = 2900,
        ["Etcd"] = 1000,
        ["Etcd.Calls"] = 1000,
        ["Etcd.Connections"] = 1000,
        ["Etcd.Tls"] = 1000,
        ["Etcd.Leasing"] = 1100,
        ["Etcd.Watching"] = 1200,
    };

    private static IReadOnlyList<(MethodInfo Method, LoggerMessageAttribute Message)> Messages { get; } =
    [
        .. new[] { typeof(InstanceState).Assembly, typeof(EtcdClient).Assembly }
            .SelectMany(static a => a.GetTypes())
            .SelectMany(static t => t.GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            .Select(static m => (Method: m, Message: m.GetCustomAttribute<LoggerMessageAttribute>()!))
            .Where(static m => m.Message is not null),
    ];

    [Fact]
    public void Event_ids_are_unique()
    {
        Assert.True(Messages.Count > 30);
        Assert.Empty(Messages.GroupBy(m => m.Message.EventId).Where(g => g.Count() > 1).Select(g => g.Key));
    }

    [Fact]
    public void An_event_id_is_in_the_hundred_of_its_room()
        => Assert.All(Messages, static m =>
        {
            var type = m.Method.DeclaringType!;
            var room = type.Namespace!.StartsWith("Discovery.AspNetCore", StringComparison.Ordinal)
                ? type.Namespace["Discovery.AspNetCore.".Length..].Split('.')[0]
                : type.DeclaringType == typeof(EtcdLeaseKeeper) ? "Etcd.Leasing" : type.Namespace["Discovery.".Length..];
            Assert.Equal((room, Rooms[room]), (room, m.Message.EventId / 100 * 100));
        });

    [Fact]
    public void The_documentation_lists_each_event_with_its_level_and_its_message()
    {
        var documented = File.ReadLines(Path.Combine(Root(), "docs", "logs.md"))
            .Select(static line => line.Split('|', StringSplitOptions.TrimEntries))
            .Where(static cells => cells.Length > 5 && int.TryParse(cells[1], out _))
            .Select(static cells => (Id: int.Parse(cells[1]), Level: cells[2], Event: cells[3].Trim('`'), Message: cells[5]))
            .Where(static row => row.Id is < 1900 or (>= 2000 and < 3000))
            .ToList();

        Assert.Equal(
            Messages.OrderBy(m => m.Message.EventId).Select(m => (m.Message.EventId, m.Method.Name, m.Message.Message)),
            documented.OrderBy(d => d.Id).Select(d => (d.Id, d.Event, d.Message)));
        Assert.All(Messages.Where(m => m.Message.Level != LogLevel.None), m =>
            Assert.Equal((m.Message.EventId, m.Message.Level.ToString()), (m.Message.EventId, documented.Single(d => d.Id == m.Message.EventId).Level)));
    }

    [Fact]
    public void Over_all_packages_event_ids_are_unique_and_documented()
    {
        var written = Directory.EnumerateFiles(Path.Combine(Root(), "src"), "*.cs", SearchOption.AllDirectories)
            .SelectMany(static file => Message().Matches(File.ReadAllText(file)))
            .Select(static m => (Id: int.Parse(m.Groups["id"].Value), Event: m.Groups["event"].Value))
            .OrderBy(static m => m.Id)
            .ToList();
        var documented = File.ReadLines(Path.Combine(Root(), "docs", "logs.md"))
            .Select(static line => line.Split('|', StringSplitOptions.TrimEntries))
            .Where(static cells => cells.Length > 5 && int.TryParse(cells[1], out _))
            .Select(static cells => (Id: int.Parse(cells[1]), Event: cells[3].Trim('`')))
            .OrderBy(static m => m.Id);

        Assert.True(written.Count > 80);
        Assert.Empty(written.GroupBy(static m => m.Id).Where(static g => g.Count() > 1).Select(static g => g.Key));
        Assert.Equal(written, documented);
    }

    [GeneratedRegex(@"\[LoggerMessage\((EventId = )?(?<id>\d+),[^\]]*\)\]\s+public static partial void (?<event>\w+)\(")]
    private static partial Regex Message();

    /// <summary>The repository: the path of a source file does not tell, as a build for a release leaves it out.</summary>
    private static string Root()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "Discovery.AspNetCore.sln")))
        {
            directory = Path.GetDirectoryName(directory) ?? throw new InvalidOperationException("The tests do not run inside the repository.");
        }

        return directory;
    }
}
