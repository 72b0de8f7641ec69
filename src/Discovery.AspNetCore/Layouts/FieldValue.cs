using System.Buffers;
using System.Text;
using System.Text.Json;

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
    /// <exception cref="InvalidOperationException">The text has an unpaired surrogate.</exception>
    public bool TryGetInnerObject(Span<byte> buffer, out ReadOnlySpan<byte> inner)
    {
        var reader = new Utf8JsonReader(Json.Span);
        reader.Read();
        inner = buffer[..reader.CopyString(buffer)];
        return inner is [(byte)'{', ..];
    }
}
