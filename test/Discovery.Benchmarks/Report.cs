using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Discovery.Benchmarks;

/// <summary>What was measured: printed row by row as it comes in, and written as JSON at the end.</summary>
internal sealed class Report
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    private readonly List<Row> _rows = [];
    private string? _line;

    private enum Comparison
    {
        None,
        Difference,
        Ratio,
    }

    private enum Goal
    {
        None,
        AtMost,
        AtLeast,
    }

    /// <summary>Whether all goals were met.</summary>
    public bool AllMet => _rows.TrueForAll(static r => r.Met != false);

    /// <summary>Says something about the rows before.</summary>
    public static void Note(string text) => Console.WriteLine($"    {text}");

    /// <summary>What ours costs more than a reference of the same run.</summary>
    /// <param name="line">The name of the line.</param>
    /// <param name="what">What was measured.</param>
    /// <param name="unit">Its unit.</param>
    /// <param name="ours">Ours.</param>
    /// <param name="reference">The reference's.</param>
    /// <param name="most">The goal: at most so much more; null if there is none.</param>
    /// <param name="tolerance">What the measurement may be off by.</param>
    public void AddDifference(string line, string what, string unit, double ours, double reference, double? most, double tolerance = 0)
        => Add(new Row(line, what, unit, ours, reference, Comparison.Difference, ours - reference, GoalOf(Goal.AtMost, most), most, (ours - reference) <= most + tolerance));

    /// <summary>Ours by a reference of the same run, where more is better.</summary>
    /// <param name="line">The name of the line.</param>
    /// <param name="what">What was measured.</param>
    /// <param name="unit">Its unit.</param>
    /// <param name="ours">Ours.</param>
    /// <param name="reference">The reference's.</param>
    /// <param name="least">The goal: the least ratio; null if there is none.</param>
    public void AddRatioAtLeast(string line, string what, string unit, double ours, double reference, double? least)
        => Add(new Row(line, what, unit, ours, reference, Comparison.Ratio, ours / reference, GoalOf(Goal.AtLeast, least), least, ours / reference >= least));

    /// <summary>Ours by a reference of the same run, where less is better.</summary>
    public void AddRatioAtMost(string line, string what, string unit, double ours, double reference, double? most)
        => Add(new Row(line, what, unit, ours, reference, Comparison.Ratio, ours / reference, GoalOf(Goal.AtMost, most), most, ours / reference <= most));

    /// <summary>A value that is compared to nothing but its goal.</summary>
    public void AddValue(string line, string what, string unit, double ours, double? most)
        => Add(new Row(line, what, unit, ours, null, Comparison.None, null, GoalOf(Goal.AtMost, most), most, ours <= most));

    /// <summary>A value that needs no machine to be measured on.</summary>
    public void AddTarget(string line, string what, double ours, double limit, bool isLeast)
        => Add(new Row(line, what, "", ours, null, Comparison.None, null, isLeast ? Goal.AtLeast : Goal.AtMost, limit, isLeast ? ours >= limit : ours <= limit));

    /// <summary>Writes all rows.</summary>
    public void WriteJson(string path) => File.WriteAllText(path, JsonSerializer.Serialize(_rows, Json));

    private static Goal GoalOf(Goal kind, double? limit) => limit is null ? Goal.None : kind;

    private void Add(Row row)
    {
        row = row with { Met = row.Limit is null ? null : row.Met };
        _rows.Add(row);
        if (_line != row.Line)
        {
            _line = row.Line;
            Console.WriteLine($"\n{row.Line,-40} {"ours",12} {"reference",12} {"compared",12} {"goal",14}");
        }

        var compared = row.Comparison switch
        {
            Comparison.Difference => Invariant($"{row.Compared:+0;-0;0} {row.Unit}"),
            Comparison.Ratio => Invariant($"{row.Compared:0.00}"),
            _ => "",
        };
        var goal = row.Goal switch
        {
            Goal.AtMost => Invariant($"at most {row.Limit:0.##}"),
            Goal.AtLeast => Invariant($"at least {row.Limit:0.##}"),
            _ => "",
        };
        var met = row.Met switch { true => "met", false => "MISSED", _ => "" };
        Console.WriteLine($"  {row.What,-38} {Format(row.Ours, row.Unit),12} {Format(row.Reference, row.Unit),12} {compared,12} {goal,14} {met}".TrimEnd());
    }

    private static string Format(double? value, string unit)
        => value is { } v ? Invariant($"{(Math.Abs(v) < 100 ? Math.Round(v, 1) : Math.Round(v)):#,0.#} {unit}") : "";

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private sealed record Row(
        string Line, string What, string Unit, double? Ours, double? Reference, Comparison Comparison, double? Compared, Goal Goal, double? Limit, bool? Met);
}
