using System.Globalization;
using System.Text;

namespace Discovery.AspNetCore.Layouts;

/// <summary>
/// Writes JSON as Go's <c>encoding/json</c> does, byte for byte, which no encoder of System.Text.Json can be set to: it escapes
/// <c>&lt;</c>, <c>&gt;</c>, <c>&amp;</c>, U+2028 and U+2029, and leaves all other text as it is.
/// </summary>
internal static class GoJson
{
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
