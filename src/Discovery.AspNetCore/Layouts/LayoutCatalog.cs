using System.Diagnostics.CodeAnalysis;

namespace Discovery.AspNetCore.Layouts;

/// <summary>
/// Finds layouts by the words of a setting: the built-in ones and those the application registered, which win. A setting is a name, or
/// <c>EtcdNaming:openim/</c> with another root; several are separated by commas.
/// </summary>
internal sealed class LayoutCatalog
{
    private readonly Dictionary<string, IServiceLayout> _byName = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Collects the layouts.</summary>
    /// <param name="registered">The application's own.</param>
    public LayoutCatalog(IEnumerable<IServiceLayout> registered)
    {
        IServiceLayout[] builtIn =
        [
            new EtcdNamingLayout(root: null), new OpenImLayout(root: null), new GoZeroLayout(root: null),
            new KratosLayout(root: null), new KitexLayout(root: null), new EtcdNamingLayout(root: null, asObject: true),
        ];
        foreach (var layout in builtIn.Concat(registered))
        {
            _byName[layout.Name] = layout;
        }
    }

    private string ValidExamples
        => $"valid are {string.Join(", ", _byName.Values.SkipLast(1).Select(static l => l.Name))} and {_byName.Values.Last().Name}, most with an optional root, "
            + $"e.g. {ServiceLayouts.EtcdNaming}:{EtcdNamingLayout.DefaultRoot}";

    /// <summary>Whether two layouts have the same keys: one of them reads all, and both cannot write.</summary>
    public static bool AreSame(IServiceLayout one, IServiceLayout other)
        => one.GetPrefix("service") == other.GetPrefix("service") && one.GetKey("service", "10.0.0.1:80") == other.GetKey("service", "10.0.0.1:80");

    /// <summary>Reads a setting.</summary>
    public bool TryParse(
        string? text, [NotNullWhen(true)] out IReadOnlyList<IServiceLayout>? layouts, [NotNullWhen(false)] out string? problem)
    {
        layouts = null;
        var parts = LayoutList.Split(text);
        if (parts.Length == 0)
        {
            problem = $"no layout is named; {ValidExamples}";
            return false;
        }

        var found = new List<IServiceLayout>();
        foreach (var part in parts)
        {
            if (Find(part, out problem) is not { } layout)
            {
                return false;
            }

            if (found.TrueForAll(other => !AreSame(other, layout)))
            {
                found.Add(layout);
            }
        }

        layouts = found;
        problem = null;
        return true;
    }

    /// <summary>Reads a setting that was validated before.</summary>
    public IReadOnlyList<IServiceLayout> Parse(string? text)
        => TryParse(text, out var layouts, out var problem) ? layouts : throw new ArgumentException(problem, nameof(text));

    private IServiceLayout? Find(string part, out string problem)
    {
        problem = "";
        var colon = part.IndexOf(':', StringComparison.Ordinal);
        var name = colon < 0 ? part : part[..colon];
        if (!_byName.TryGetValue(name, out var layout))
        {
            problem = $"there is no layout '{name}'; {ValidExamples}";
            return null;
        }

        if (colon < 0)
        {
            return layout;
        }

        problem = $"the layout '{layout.Name}' has a fixed root; write {layout.Name} alone";
        return layout.WithRoot(part[(colon + 1)..]);
    }
}
