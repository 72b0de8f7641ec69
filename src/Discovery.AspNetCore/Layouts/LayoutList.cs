namespace Discovery.AspNetCore.Layouts;

/// <summary>The layouts of a setting: one text with commas, or a list.</summary>
internal static class LayoutList
{
    public static string[] Split(string? text)
        => (text ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    public static string Join(IEnumerable<string> layouts) => string.Join(", ", layouts);
}
