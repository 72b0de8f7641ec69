using System.Globalization;
using System.Text;

namespace Discovery.Benchmarks.Charts;

/// <summary>
/// Lines over two logarithmic scales, as SVG: what grows in proportion to size rises by one line of the grid
/// for each to the right, what does not depend on it is flat. Readable on a light and on a dark page.
/// </summary>
internal sealed class LogChart(string title, string xTitle, string yTitle)
{
    private const int Width = 720;
    private const int Height = 400;
    private const int Left = 70;
    private const int Right = 190;
    private const int Top = 50;
    private const int Bottom = 55;
    private const int LabelHeight = 16;

    // Told apart with any colour vision, and by the labels at their ends.
    private static readonly string[] Colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a7500", "#56b4e9"];

    public required IReadOnlyList<Line> Lines { get; init; }

    public string ToSvg()
    {
        var points = Lines.SelectMany(static l => l.Points).ToList();
        var x = new Scale(points.Min(static p => p.X), points.Max(static p => p.X), Left, Width - Right);
        var y = new Scale(points.Min(static p => p.Y), points.Max(static p => p.Y), Height - Bottom, Top);
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {Height}\" font-family=\"sans-serif\" font-size=\"12\">\n");
        svg.Append(CultureInfo.InvariantCulture, $"<title>{title}</title>\n<rect width=\"{Width}\" height=\"{Height}\" fill=\"#fff\"/>\n");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left}\" y=\"24\" font-size=\"15\" fill=\"#222\">{title}, {yTitle}</text>\n");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left}\" y=\"{Height - 12}\" fill=\"#444\">{xTitle}</text>\n");
        AppendGrid(svg, x, y);
        AppendLines(svg, x, y);
        return svg.Append("</svg>\n").ToString();
    }

    private static void AppendGrid(StringBuilder svg, Scale x, Scale y)
    {
        foreach (var value in x.Ticks)
        {
            svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x.At(value):0.#}\" y1=\"{Top}\" x2=\"{x.At(value):0.#}\" y2=\"{Height - Bottom}\" stroke=\"#ddd\"/>");
            svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{x.At(value):0.#}\" y=\"{Height - Bottom + 16}\" text-anchor=\"middle\" fill=\"#444\">{value:#,0.###}</text>\n");
        }

        foreach (var value in y.Ticks)
        {
            svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{Left}\" y1=\"{y.At(value):0.#}\" x2=\"{Width - Right}\" y2=\"{y.At(value):0.#}\" stroke=\"#ddd\"/>");
            svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left - 6}\" y=\"{y.At(value) + 4:0.#}\" text-anchor=\"end\" fill=\"#444\">{value:#,0.###}</text>\n");
        }
    }

    private void AppendLines(StringBuilder svg, Scale x, Scale y)
    {
        var nextLabel = double.MinValue;
        foreach (var (line, i) in Lines.Select(static (l, i) => (l, i)).OrderBy(l => y.At(l.l.Points[^1].Y)))
        {
            var colour = Colours[i % Colours.Length];
            var path = string.Join(' ', line.Points.Select(p => string.Create(CultureInfo.InvariantCulture, $"{x.At(p.X):0.#},{y.At(p.Y):0.#}")));
            svg.Append(CultureInfo.InvariantCulture, $"<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");

            // Labels of lines that end close to each other stand below one another.
            var label = nextLabel = Math.Max(y.At(line.Points[^1].Y) + 4, nextLabel + LabelHeight);
            svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Width - Right + 8}\" y=\"{label:0.#}\" fill=\"{colour}\">{line.Name}</text>\n");
        }
    }

    /// <summary>A line.</summary>
    /// <param name="Name">Its label.</param>
    /// <param name="Points">Its points, from left to right.</param>
    internal sealed record Line(string Name, IReadOnlyList<(double X, double Y)> Points);

    /// <summary>From the power of ten at or below the least value to the one at or above the greatest.</summary>
    private sealed class Scale(double least, double greatest, int from, int to)
    {
        private readonly double _first = Math.Floor(Math.Log10(least));
        private readonly double _last = Math.Max(Math.Ceiling(Math.Log10(greatest)), Math.Floor(Math.Log10(least)) + 1);

        public IEnumerable<double> Ticks => Enumerable.Range((int)_first, (int)(_last - _first) + 1).Select(static e => Math.Pow(10, e));

        public double At(double value) => from + ((to - from) * (Math.Log10(value) - _first) / (_last - _first));
    }
}
