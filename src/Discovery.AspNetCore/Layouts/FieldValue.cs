using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Discovery.AspNetCore.Layouts;

/// <summary>
/// A JSON value where it stands in a record. It is read from there, for a document of each record would cost more than all that is read of it.
/// </summary>
/// <param name="Json">The value as it is written; valid JSON.</param>
/// <param name="Kind">What it is; <see cref="JsonTokenType.None"/> when there is none.</param>
internal readonly record struct FieldValue(ReadOnlyMemory<byte> Json, JsonTokenType Kind)
{
    /// <summary>The value if it is a text, else null.</summary>
    /// <exception cref="InvalidOperationException">The text has an unpaired surrogate.</exception>
    public string? Text
    {
        get
        {
            if (Kind != JsonTokenType.String)
            {
                return null;
            }

            var reader = new Utf8JsonReader(Json.Span);
            reader.Read();
            return reader.GetString();
        }
    }

    /// <summary>The value if it is a text that can be had, else null.</summary>
    public string? ReadableText
    {
        get
        {
            if (Kind != JsonTokenType.String)
            {
                return null;
            }

            var reader = new Utf8JsonReader(Json.Span);
            reader.Read();
            return IsReadable(ref reader) ? reader.GetString() : null;
        }
    }

    /// <summary>
    /// Whether the text or the name where a reader stands can be had: it has no unpaired surrogate, and is UTF-8. JSON is valid all the same, and
    /// Go puts U+FFFD for what is wrong.
    /// </summary>
    public static bool IsReadable(ref Utf8JsonReader reader)
    {
        if (!reader.ValueIsEscaped)
        {
            return Utf8.IsValid(reader.ValueSpan);
        }

        try
        {
            reader.GetString();
            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Whether the value where a reader stands is told by a text: a text itself, a number, or true or false as they are written.</summary>
    /// <exception cref="InvalidOperationException">The text has an unpaired surrogate.</exception>
    public static string? AsText(ref Utf8JsonReader reader) => reader.TokenType switch
    {
        JsonTokenType.String => reader.GetString(),
        JsonTokenType.Number or JsonTokenType.True or JsonTokenType.False => Encoding.UTF8.GetString(reader.ValueSpan),
        _ => null,
    };

    /// <summary>Whether the value, a text, is a text of a JSON object, which it is if it begins like one; if so, its bytes.</summary>
    /// <param name="buffer">Room for the bytes, as many as <see cref="Json"/> has.</param>
    /// <param name="inner">The bytes.</param>
    public bool TryGetInnerObject(Span<byte> buffer, out ReadOnlySpan<byte> inner)
    {
        inner = default;
        var reader = new Utf8JsonReader(Json.Span);
        reader.Read();
        if (!IsReadable(ref reader))
        {
            return false;
        }

        inner = buffer[..reader.CopyString(buffer)];
        return inner is [(byte)'{', ..];
    }
}
