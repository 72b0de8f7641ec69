using System.Diagnostics.Metrics;
using System.Reflection;
using System.Text.Json;
using System.Text.RegularExpressions;
using Discovery.AspNetCore;
using Discovery.Etcd;
using Discovery.FieldTests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests.Observability;

/// <summary>docs/metrics.md lists what is measured, and the dashboard and the alerts ask for nothing else.</summary>
public sealed partial class MetricsPageTests
{
    private static readonly string Root = typeof(MetricsPageTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(static a => a.Key == "RepositoryRoot").Value!;

    private static IReadOnlyList<Row> Documented { get; } =
    [
        .. File.ReadLines(Path.Combine(Root, "docs", "metrics.md"))
            .Select(static line => line.Split('|', StringSplitOptions.TrimEntries))
            .Where(static cells => cells.Length > 6 && cells[1].StartsWith('`'))
            .Select(static c => new Row(c[1].Trim('`'), c[2], c[3], [.. c[4].Split(", ").Select(static t => t.Trim('`'))], c[5]))
            .OrderBy(static r => r.Name, StringComparer.Ordinal),
    ];

    [Fact]
    public async Task The_page_lists_each_metric_with_kind_unit_and_meaning()
    {
        await using var field = await Field.StartAsync();
        var services = field.Application(static _ => { });
        using var metrics = new MetricRecorder(services);
        _ = services.GetRequiredService<EtcdClient>();
        await services.GetRequiredService<IServiceDirectory>().WaitForReadyAsync(Field.Service);

        Assert.Equal(
            metrics.Instruments.OrderBy(static i => i.Name, StringComparer.Ordinal).Select(static i => (i.Name, KindOf(i), i.Unit, i.Description)),
            Documented.Select(static r => (r.Name, r.Kind, (string?)r.Unit, (string?)r.Meaning)));
    }

    [Fact]
    public async Task The_page_lists_each_tag()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync();
        await field.RegisterAsync(Field.DeadAddress(1));
        var services = field.Application(static s =>
        {
            s.AddHttpClient("client").AddEtcdDiscovery(Field.Service);
            s.AddHttpClient("other").AddEtcdDiscovery(Field.Service, static o => o.Policy = "RoundRobin");
        });
        using var metrics = new MetricRecorder(services);
        foreach (var name in new[] { "client", "other" })
        {
            using var client = services.GetRequiredService<IHttpClientFactory>().CreateClient(name);
            for (var i = 0; i < 4; i++)
            {
                await client.GetStringAsync("x");
            }
        }

        _ = metrics.Value("discovery.client.picks");
        Assert.True(metrics.All.Select(static m => m.Name).Distinct().Count() > 10);
        Assert.All(metrics.All, static m => Assert.Subset(Documented.Single(r => r.Name == m.Name).Tags.ToHashSet(), m.Tags.Keys.ToHashSet()));
    }

    [Theory]
    [InlineData("examples/Observability/grafana/discovery.json")]
    [InlineData("docs/observability.md")]
    public void What_the_dashboard_and_the_alerts_ask_for_exists(string file)
    {
        var text = File.ReadAllText(Path.Combine(Root, file));
        var questions = file.EndsWith(".json", StringComparison.Ordinal) ? ExpressionsOf(text) : PromQl().Matches(text).Select(static m => m.Groups["query"].Value);
        var known = Documented.SelectMany(static r => NamesOf(r)).Concat(Documented.SelectMany(static r => r.Tags).Select(Underscored)).ToHashSet(StringComparer.Ordinal);

        var asked = questions.SelectMany(static q => Name().Matches(Quoted().Replace(q, ""))).Select(static m => m.Value).Distinct().ToList();
        Assert.True(asked.Count > 10);
        Assert.Equal([], asked.Where(n => !known.Contains(n)));
    }

    [Fact]
    public void The_dashboard_has_panels_for_each_question()
    {
        using var dashboard = JsonDocument.Parse(File.ReadAllText(Path.Combine(Root, "examples/Observability/grafana/discovery.json")));
        var panels = dashboard.RootElement.GetProperty("panels").EnumerateArray().ToList();
        Assert.Equal(
            ["Who is registered?", "Who gets my calls?", "Why not that one?", "Is what is known fresh?", "Is etcd well?"],
            panels.Where(static p => p.GetProperty("type").GetString() == "row").Select(static p => p.GetProperty("title").GetString()!));
        Assert.Equal(panels.Count, panels.Select(static p => p.GetProperty("id").GetInt32()).Distinct().Count());
    }

    private static IEnumerable<string> ExpressionsOf(string dashboard)
    {
        using var json = JsonDocument.Parse(dashboard);
        return
        [
            .. json.RootElement.GetProperty("panels").EnumerateArray()
                .Where(static p => p.TryGetProperty("targets", out _))
                .SelectMany(static p => p.GetProperty("targets").EnumerateArray())
                .Select(static t => t.GetProperty("expr").GetString()!),
        ];
    }

    private static string KindOf(Instrument instrument) => instrument.GetType().Name.Split('`')[0] switch
    {
        "Counter" or "ObservableCounter" => "counter",
        "UpDownCounter" or "ObservableUpDownCounter" => "up-down counter",
        "Histogram" => "histogram",
        "ObservableGauge" => "gauge",
        var other => other,
    };

    private static IEnumerable<string> NamesOf(Row row)
    {
        var name = Underscored(row.Name) + (row.Unit == "s" ? "_seconds" : "");
        return row.Kind switch
        {
            "counter" => [$"{name}_total"],
            "histogram" => [$"{name}_bucket", $"{name}_count", $"{name}_sum"],
            _ => [name],
        };
    }

    private static string Underscored(string name) => name.Replace('.', '_');

    [GeneratedRegex("```promql\n(?<query>.*?)```", RegexOptions.Singleline)]
    private static partial Regex PromQl();

    [GeneratedRegex(@"\b(?:discovery|etcd|rpc|error|server)_\w+")]
    private static partial Regex Name();

    [GeneratedRegex("\"[^\"]*\"")]
    private static partial Regex Quoted();

    private sealed record Row(string Name, string Kind, string Unit, IReadOnlyList<string> Tags, string Meaning);
}
