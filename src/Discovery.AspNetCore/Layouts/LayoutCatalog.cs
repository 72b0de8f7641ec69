using System.Diagnostics.CodeAnalysis;

namespace Discovery.AspNetCore.Layouts;

/// <summary>
/// The known layouts, by the words used in settings: <c>EtcdNaming</c>, or <c>EtcdNaming:openim/</c> with another root;
/// several are separated by commas.
/// </summary>
internal static class LayoutCatalog
{
    private const string ValidExamples =
        $"valid are {EtcdNamingLayout.LayoutName} and {OpenImLayout.LayoutName}, each with an optional root, "
        + $"e.g. {EtcdNamingLayout.LayoutName}:{EtcdNamingLayout.DefaultRoot}";

    /// <summary>Reads a setting.</summary>
    public static bool TryParse(
        string? text, [NotNullWhen(true)] out IReadOnlyList<IServiceLayout>? layouts, [NotNullWhen(false)] out string? problem)
    {
        layouts = null;
        var parts = (text ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length == 0)
        {
            problem = $"no layout is named; {ValidExamples}";
            return false;
        }

        var found = new List<IServiceLayout>();
        foreach (var part in parts)
        {
            var colon = part.IndexOf(':', StringComparison.Ordinal);
            var name = colon < 0 ? part : part[..colon];
            var root = colon < 0 ? null : part[(colon + 1)..];
            IServiceLayout? layout =
                name.Equals(EtcdNamingLayout.LayoutName, StringComparison.OrdinalIgnoreCase) ? new EtcdNamingLayout(root)
                : name.Equals(OpenImLayout.LayoutName, StringComparison.OrdinalIgnoreCase) ? new OpenImLayout(root)
                : null;
            if (layout is null)
            {
                problem = $"there is no layout '{name}'; {ValidExamples}";
                return false;
            }

            if (found.TrueForAll(other => other.Name != layout.Name))
            {
                found.Add(layout);
            }
        }

        layouts = found;
        problem = null;
        return true;
    }

    /// <summary>Reads a setting that was validated before.</summary>
    public static IReadOnlyList<IServiceLayout> Parse(string? text)
        => TryParse(text, out var layouts, out var problem) ? layouts : throw new ArgumentException(problem, nameof(text));
}
