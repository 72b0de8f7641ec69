using System.Globalization;
using System.Text;

namespace Discovery.AspNetCore.Layouts;

/// <summary>Makes text that others wrote fit for a log or an error: short, and on one line, whatever it holds.</summary>
internal static class ForeignText
{
    private const string SchemeEnd = "://";
    private const string Hidden = "***";
    private const string EscapedAt = @"\u0040";

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
        return at < 0 ? address : string.Concat(address.AsSpan(0, user), Hidden, address.AsSpan(at));
    }

    /// <summary>An address for an error, cut and without its user.</summary>
    public static string ShowAddress(string address) => Show(HideUser(address));

    /// <summary>
    /// The value of a record, or words about one, cut and without the user of any address in it. Users are hidden before the text is cut, or a
    /// password could lose the <c>@</c> that tells it.
    /// </summary>
    public static string ShowValue(string text, int maxLength = 80)
    {
        var isJson = text.AsSpan().TrimStart() is ['{' or '[' or '"', ..];
        var shown = new StringBuilder();
        var from = 0;
        while (shown.Length <= maxLength && FindAt(text, from) is ({ } at, var length))
        {
            var begin = isJson ? FindTextBegin(text, from, at) : from;
            var separator = text.IndexOf(SchemeEnd, begin, at - begin, StringComparison.Ordinal);
            var user = separator < 0 ? begin : separator + SchemeEnd.Length;
            if (text.AsSpan(user, at - user).EndsWith(Hidden))
            {
                // A layout has hidden it.
                user = at - Hidden.Length;
            }

            shown.Append(text, from, user - from).Append(Hidden).Append(text, at, length);
            from = at + length;
        }

        return Show(shown.Append(text, from, text.Length - from).ToString(), maxLength);
    }

    /// <summary>
    /// A key for a log. Many formats have the address in it, maybe with a user; an <c>@</c> without a colon before it is part of a name, as in <c>node@host</c>.
    /// </summary>
    public static string ShowKey(string key, string prefix)
    {
        var rest = key.StartsWith(prefix, StringComparison.Ordinal) ? key[prefix.Length..] : key;
        var hasUser = rest.LastIndexOf('@') is var at && at >= 0 && rest.AsSpan(0, at).Contains(':');
        return Show(hasUser ? string.Concat(key.AsSpan(0, key.Length - rest.Length), HideUser(rest)) : key);
    }

    /// <summary>The next <c>@</c>, as it is or as JSON may escape it.</summary>
    private static (int? At, int Length) FindAt(string text, int from)
    {
        var plain = text.IndexOf('@', from);
        var escaped = text.IndexOf(EscapedAt, from, StringComparison.Ordinal);
        return escaped >= 0 && (plain < 0 || escaped < plain) ? (escaped, EscapedAt.Length) : plain >= 0 ? (plain, 1) : (null, 0);
    }

    /// <summary>Where the text of JSON begins that goes on at an index.</summary>
    private static int FindTextBegin(string json, int from, int index)
    {
        while (index > from)
        {
            var quote = json.LastIndexOf('"', index - 1, index - from);
            if (quote < 0)
            {
                break;
            }

            if ((quote - json.AsSpan(from, quote - from).TrimEnd('\\').Length - from) % 2 == 0)
            {
                return quote + 1;
            }

            index = quote;
        }

        return from;
    }

    // Format characters turn the direction of a line, and a separator ends it, as control characters do.
    private static bool IsPrintable(char c) => char.GetUnicodeCategory(c) is not
        (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
            or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned);
}
