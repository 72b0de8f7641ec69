namespace Discovery.AspNetCore.Hosting;

/// <summary>Texts that are compared with those of others, so that what nobody sees in them would keep them from ever being equal.</summary>
internal static class SettingText
{
    /// <summary>What is wrong with one; null when nothing is. Unset and empty are well.</summary>
    public static string? GetProblem(string setting, string? text, string example)
        => text is { Length: > 0 } && (text.Any(char.IsControl) || char.IsWhiteSpace(text[0]) || char.IsWhiteSpace(text[^1]))
            ? $"{setting} is '{text}'; it must be a text without control characters and without spaces around it, e.g. {example}, or unset."
            : null;
}
