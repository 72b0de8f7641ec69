using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Layouts;

/// <summary>Reads records that are JSON objects the way Go's decoder does: the names of fields in any case, and the last one counts.</summary>
internal static class ObjectRecord
{
    /// <summary>Reads something of the fields of a record.</summary>
    /// <param name="fields">The fields.</param>
    /// <param name="problem">Why there is nothing.</param>
    /// <returns>What was read, or null.</returns>
    public delegate T? Reader<T>(JsonElement fields, out string? problem)
        where T : class;

    /// <summary>Reads the value of a record, if it is a JSON object.</summary>
    /// <param name="record">The record.</param>
    /// <param name="read">Reads its fields, by <see cref="Get"/> and <see cref="GetText"/>.</param>
    /// <param name="result">What that read.</param>
    /// <param name="problem">Why there is nothing.</param>
    public static bool TryRead<T>(
        EtcdKeyValue record, Reader<T> read, [NotNullWhen(true)] out T? result, [NotNullWhen(false)] out string? problem)
        where T : class
    {
        (result, problem) = (null, null);
        try
        {
            using var document = JsonDocument.Parse(record.Value);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                problem = "the value is no JSON object";
                return false;
            }

            result = read(document.RootElement, out var unreadable);
            problem = result is null ? unreadable ?? "it cannot be read" : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: a JSON string with an unpaired surrogate cannot be had as text.
            problem = "the value is no valid JSON";
        }

        return result is not null;
    }

    /// <summary>A field, or one whose kind is undefined when there is none.</summary>
    /// <exception cref="InvalidOperationException">The name of a field is no text, because of an unpaired surrogate.</exception>
    public static JsonElement Get(JsonElement fields, string name)
    {
        var found = default(JsonElement);
        foreach (var field in fields.EnumerateObject())
        {
            if (field.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                found = field.Value;
            }
        }

        return found;
    }

    /// <summary>A field that is a text.</summary>
    /// <exception cref="InvalidOperationException">The text has an unpaired surrogate.</exception>
    public static string? GetText(JsonElement fields, string name)
        => Get(fields, name) is { ValueKind: JsonValueKind.String } field ? field.GetString() : null;
}
