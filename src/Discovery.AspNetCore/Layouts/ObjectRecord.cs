using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Layouts;

/// <summary>Reads records that are JSON objects the way Go's decoder does: the names of fields in any case, and the last one counts.</summary>
internal static class ObjectRecord
{
    /// <summary>How deep JSON may be nested: as deep as Go reads it. The readers do not call themselves, so that no record overflows the stack.</summary>
    public const int MaxDepth = 10_000;

    /// <summary>Reads something of the fields of a record.</summary>
    /// <param name="serviceName">The service whose prefix was listed.</param>
    /// <param name="record">The record.</param>
    /// <param name="fields">The fields that were looked for, in that order.</param>
    /// <param name="problem">Why there is nothing.</param>
    /// <returns>What was read, or null.</returns>
    /// <exception cref="InvalidOperationException">A text has an unpaired surrogate.</exception>
    public delegate T? Reader<T>(string serviceName, EtcdKeyValue record, ReadOnlySpan<FieldValue> fields, out string? problem)
        where T : class;

    /// <summary>A reader of a record's JSON, or of a value in it.</summary>
    public static Utf8JsonReader CreateReader(ReadOnlySpan<byte> json) => new(json, new JsonReaderOptions { MaxDepth = MaxDepth });

    /// <summary>Reads the value of a record, if it is a JSON object.</summary>
    /// <param name="serviceName">The service whose prefix was listed.</param>
    /// <param name="record">The record.</param>
    /// <param name="names">The fields to look for.</param>
    /// <param name="fields">Where they are put.</param>
    /// <param name="read">Reads them.</param>
    /// <param name="result">What that read.</param>
    /// <param name="problem">Why there is nothing.</param>
    public static bool TryRead<T>(
        string serviceName,
        EtcdKeyValue record,
        string[] names,
        Span<FieldValue> fields,
        Reader<T> read,
        [NotNullWhen(true)] out T? result,
        [NotNullWhen(false)] out string? problem)
        where T : class
    {
        (result, problem) = (null, null);
        try
        {
            if (!TryFind(record.Value, names, fields))
            {
                problem = "the value is no JSON object";
                return false;
            }

            result = read(serviceName, record, fields, out var unreadable);
            problem = result is null ? unreadable ?? "it cannot be read" : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: a JSON string with an unpaired surrogate cannot be had as text.
            problem = "the value is no valid JSON";
        }

        return result is not null;
    }

    /// <summary>Which of some names, in any case, is that of the property where a reader stands; -1 if none.</summary>
    private static int IndexOfName(ref Utf8JsonReader reader, string[] names)
    {
        var name = reader.ValueSpan;
        if (reader.ValueIsEscaped || !Ascii.IsValid(name))
        {
            var text = FieldValue.IsReadable(ref reader) ? reader.GetString() : null;
            return Array.FindIndex(names, n => n.Equals(text, StringComparison.OrdinalIgnoreCase));
        }

        for (var i = 0; i < names.Length; i++)
        {
            if (Ascii.EqualsIgnoreCase(name, names[i]))
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>Reads JSON to its end, as only then it is known to be valid, and finds fields if it is an object.</summary>
    private static bool TryFind(ReadOnlyMemory<byte> json, string[] names, Span<FieldValue> fields)
    {
        var reader = CreateReader(json.Span);
        reader.Read();
        var isObject = reader.TokenType == JsonTokenType.StartObject;
        while (reader.Read())
        {
            if (isObject && reader is { CurrentDepth: 1, TokenType: JsonTokenType.PropertyName })
            {
                var index = IndexOfName(ref reader, names);
                reader.Read();
                var (start, kind) = ((int)reader.TokenStartIndex, reader.TokenType);
                reader.Skip();
                if (index >= 0)
                {
                    fields[index] = new FieldValue(json[start..(int)reader.BytesConsumed], kind);
                }
            }
        }

        return isObject;
    }
}
