using System.Globalization;
using System.Text.Json;

namespace Discovery.Benchmarks;

/// <summary>What was measured: printed as a table while it comes in, and written as JSON at the end.</summary>
internal sealed class Report
{
    private readonly List<Row> _rows = [];
    private string? _line;

    /// <summary>Whether all goals were met.</summary>
    public bool AllMet => _rows.TrueForAll(static r => r.Met != false);

    /// <summary>Says something about the rows before or after.</summary>
    public static void Note(string text) => Console.WriteLine($"  {text}");

    /// <summary>What ours costs more than a reference of the same run; the goal is at most so much.</summary>
    public void AddDifference(string line, string what, string unit, double ours, double reference, double? most)
        => Add(new Row(line, what, unit, ours, reference, "difference", ours - reference, most is null ? null : "at most", most, most is null ? null : ours - reference <= most + 0.5));

    /// <summary>Ours by a reference of the same run; the goal is at least that ratio.</summary>
    public void AddRatioAtLeast(string line, string what, string unit, double ours, double reference, double? least)
        => Add(new Row(line, what, unit, ours, reference, "ratio", ours / reference, least is null ? null : "at least", least, least is null ? null : ours / reference >= least));

    /// <summary>The same where less is better.</summary>
    public void AddRatioAtMost(string line, string what, string unit, double ours, double reference, double? most)
        => Add(new Row(line, what, unit, ours, reference, "ratio", ours / reference, most is null ? null : "at most", most, most is null ? null : ours / reference <= most));

    /// <summary>A value of ours alone.</summary>
    public void AddValue(string line, string what, string unit, double ours, double? most)
        => Add(new Row(line, what, unit, ours, null, null, null, most is null ? null : "at most", most, most is null ? null : ours <= most));

    public void WriteJson(string path) => File.WriteAllText(path, JsonSerializer.Serialize(_rows, JsonOptions));

    private static readonly JsonSerializerOptions JsonOptions = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private void Add(Row row)
    {
        if (_line != row.Line)
        {
            _line = row.Line;
            Console.WriteLine();
            Console.WriteLine($"{row.Line,-40} {"ours",12} {"reference",12} {"compared",10} {"goal",16}");
        }

        _rows.Add(row);
        var compared = row.Comparison switch
        {
            "difference" => Invariant($"{row.Compared:+0;-0;0} {row.Unit}"),
            "ratio" => Invariant($"{row.Compared:0.00}"),
            _ => "",
        };
        var goal = row.Goal is null ? "" : Invariant($"{row.GoalKind} {row.Goal:0.##}");
        Console.WriteLine(Invariant(
            $"  {row.What,-38} {Format(row.Ours, row.Unit),12} {Format(row.Reference, row.Unit),12} {compared,10} {goal,16} {(row.Met switch { true => "met", false => "MISSED", null => "" })}"));
    }

    private static string Format(double? value, string unit) => value is { } v ? Invariant($"{(v < 100 ? Math.Round(v, 1) : Math.Round(v)):#,0.#} {unit}") : "-";

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private sealed record Row(
        string Line, string What, string Unit, double Ours, double? Reference, string? Comparison, double? Compared, string? GoalKind, double? Goal, bool? Met);
}
