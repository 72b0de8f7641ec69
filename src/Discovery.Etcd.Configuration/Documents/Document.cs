using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Json;

namespace Discovery.Etcd.Configuration.Documents;

/// <summary>What one key of etcd says: one setting, or those of a JSON document.</summary>
/// <param name="Record">The record that it was read from.</param>
/// <param name="Settings">The settings, by path.</param>
/// <param name="IsJson">Whether the value is a document. Then the key stays one: another value is a mistake.</param>
internal sealed record Document(EtcdKeyValue Record, IReadOnlyList<KeyValuePair<string, string?>> Settings, bool IsJson)
{
    /// <summary>etcd itself takes 1.5 MiB by default.</summary>
    private const int MaxBytes = 1024 * 1024;

    /// <summary>As deep as JSON may be nested.</summary>
    private const int MaxSegments = 64;

    private const string Extension = ".json";

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads a record.</summary>
    /// <param name="prefix">The prefix, which ends with a slash.</param>
    /// <param name="record">The record.</param>
    /// <param name="mustBeJson">Whether the key held a document before.</param>
    /// <returns>The document; <see langword="null"/> for a key that stands for a folder.</returns>
    /// <exception cref="DocumentException">The record cannot be used.</exception>
    public static Document? Read(string prefix, EtcdKeyValue record, bool mustBeJson)
    {
        if (!record.Key.StartsWith(prefix, StringComparison.Ordinal))
        {
            throw new DocumentException($"it does not stand under '{prefix}'");
        }

        var name = record.Key[prefix.Length..];
        if (name.Length == 0 || name.EndsWith('/'))
        {
            return null;
        }

        var segments = name.Split('/');
        if (segments.Length > MaxSegments)
        {
            throw new DocumentException($"its name has more than {MaxSegments} parts");
        }

        if (segments.Contains("", StringComparer.Ordinal))
        {
            throw new DocumentException("its name has an empty part ('//')");
        }

        if (record.Value.Length > MaxBytes)
        {
            throw new DocumentException($"it has {record.Value.Length} bytes, more than {MaxBytes}");
        }

        var text = Decode(record.Value.Span);
        var isFile = segments[^1].EndsWith(Extension, StringComparison.OrdinalIgnoreCase);
        var path = ConfigurationPath.Combine(isFile ? segments[..^1] : segments);
        var isJson = isFile || mustBeJson || IsObject(text);
        return new Document(record, isJson ? Flatten(path, record.Value) : [new(path, text)], isJson);
    }

    private static string Decode(ReadOnlySpan<byte> value)
    {
        try
        {
            // Editors begin a file with a byte order mark, which is no part of the setting.
            return Strict.GetString(value.StartsWith(Encoding.UTF8.Preamble) ? value[Encoding.UTF8.Preamble.Length..] : value);
        }
        catch (DecoderFallbackException)
        {
            throw new DocumentException("it is no UTF-8 text");
        }
    }

    /// <summary>A text may begin with a brace and be none, such as a format.</summary>
    private static bool IsObject(string text)
    {
        if (!text.AsSpan().TrimStart().StartsWith('{'))
        {
            return false;
        }

        try
        {
            using var document = JsonDocument.Parse(text, new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static List<KeyValuePair<string, string?>> Flatten(string path, ReadOnlyMemory<byte> value)
    {
        try
        {
            return [.. JsonParser.Parse(value).Select(s => new KeyValuePair<string, string?>(path.Length == 0 ? s.Key : ConfigurationPath.Combine(path, s.Key), s.Value))];
        }
        catch (JsonException e)
        {
            // Its own message may quote the value.
            throw new DocumentException($"it is no JSON, or nested too deeply (line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1})");
        }
        catch (FormatException e)
        {
            // No object, or a key twice; names keys only.
            throw new DocumentException($"it is no JSON object that settings can be read from ({e.Message})");
        }
    }

    /// <summary>The parser of appsettings.json.</summary>
    private sealed class JsonParser(JsonStreamConfigurationSource source) : JsonStreamConfigurationProvider(source)
    {
        public static IDictionary<string, string?> Parse(ReadOnlyMemory<byte> json)
        {
            using var stream = new MemoryStream(json.ToArray());
            var parser = new JsonParser(new JsonStreamConfigurationSource { Stream = stream });
            parser.Load();
            return parser.Data;
        }
    }
}
