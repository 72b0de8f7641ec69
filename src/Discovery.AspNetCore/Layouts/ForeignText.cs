using System.Globalization;

namespace Discovery.AspNetCore.Layouts;

/// <summary>Makes text that others wrote fit for a log or an error: short, and on one line, whatever it holds.</summary>
internal static class ForeignText
{
    private const string SchemeEnd = "://";

    /// <summary>The text, cut, with what is no printable character escaped.</summary>
    public static string Show(string text, int maxLength = 80)
    {
        var shown = text.Length > maxLength ? text[..maxLength] + "…" : text;
        return shown.All(IsPrintable)
            ? shown
            : string.Concat(shown.Select(static c => IsPrintable(c) ? c.ToString() : string.Create(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}")));
    }

    /// <summary>An address for an error: what stands before an <c>@</c> is a user's name, and mostly a password, which nobody expects in a log.</summary>
    public static string HideUser(string address)
    {
        var at = address.LastIndexOf('@');
        var separator = address.IndexOf(SchemeEnd, StringComparison.Ordinal);
        var user = separator >= 0 && separator < at ? separator + SchemeEnd.Length : 0;
        return at < 0 ? address : string.Concat(address.AsSpan(0, user), "***", address.AsSpan(at));
    }

    // Format characters turn the direction of a line, and a separator ends it, as control characters do.
    private static bool IsPrintable(char c) => char.GetUnicodeCategory(c) is not
        (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
            or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned);
}
