using System.Globalization;
using System.Text;

namespace Discovery.AspNetCore.Layouts;

/// <summary>
/// Writes JSON as Go's <c>encoding/json</c> does, byte for byte, which no encoder of System.Text.Json can be set to: it escapes
/// <c>&lt;</c>, <c>&gt;</c>, <c>&amp;</c>, U+2028 and U+2029, and leaves all other text as it is. Two characters have two forms: backspace
/// and form feed are <c>\u0008</c> and <c>\u000c</c> here and in Go before 1.22, <c>\b</c> and <c>\f</c> since.
/// </summary>
internal static class GoJson
{
    /// <summary>The order of names in a map: by their bytes, which is another than that of UTF-16 above U+D7FF.</summary>
    public static readonly IComparer<string> KeyOrder = Comparer<string>.Create(
        static (one, other) => Encoding.UTF8.GetBytes(one).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(other)));

    /// <summary>A string with its quotation marks.</summary>
    public static string ToText(string text) => AppendText(new StringBuilder(), text).ToString();

    /// <summary>Appends a string with its quotation marks.</summary>
    public static StringBuilder AppendText(StringBuilder json, string text)
    {
        json.Append('"');
        foreach (var rune in text.EnumerateRunes())
        {
            _ = rune.Value switch
            {
                '"' => json.Append("\\\""),
                '\\' => json.Append("\\\\"),
                '\n' => json.Append("\\n"),
                '\r' => json.Append("\\r"),
                '\t' => json.Append("\\t"),
                < 0x20 or '<' or '>' or '&' or 0x2028 or 0x2029 => json.Append(CultureInfo.InvariantCulture, $"\\u{rune.Value:x4}"),
                _ => json.Append(rune.ToString()),
            };
        }

        return json.Append('"');
    }

    /// <summary>Appends a <c>map[string]string</c>: by key, and <c>null</c> when there is nothing in it.</summary>
    public static StringBuilder AppendMap(StringBuilder json, SortedDictionary<string, string> map)
    {
        if (map.Count == 0)
        {
            return json.Append("null");
        }

        var separator = '{';
        foreach (var (name, value) in map)
        {
            AppendText(json.Append(separator), name).Append(':');
            AppendText(json, value);
            separator = ',';
        }

        return json.Append('}');
    }
}
