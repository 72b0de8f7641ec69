using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Layouts;

/// <summary>Reads records that are JSON objects the way Go's decoder does: the names of fields in any case, and the last one counts.</summary>
internal static class ObjectRecord
{
    public const string NoJson = "the value is no valid JSON";

    /// <summary>Reads the value of a record.</summary>
    public static bool TryParse(
        EtcdKeyValue record, [NotNullWhen(true)] out JsonDocument? document, [NotNullWhen(false)] out string? problem)
    {
        (document, problem) = (null, null);
        try
        {
            var parsed = JsonDocument.Parse(record.Value);
            if (parsed.RootElement.ValueKind == JsonValueKind.Object)
            {
                document = parsed;
                return true;
            }

            parsed.Dispose();
            problem = "the value is no JSON object";
        }
        catch (JsonException)
        {
            problem = NoJson;
        }

        return false;
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
