using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Watching;

/// <summary>The content of a file of records: those of one prefix, with a hash over them.</summary>
internal static class SnapshotFormat
{
    /// <summary>The format; a file of another one is left alone.</summary>
    private const int Version = 1;

    public static void Write(Stream stream, string prefix, EtcdListing listing, DateTimeOffset now)
    {
        var records = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(records))
        {
            WriteRecords(json, listing.Items);
        }

        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteNumber("version", Version);
            json.WriteString("prefix", prefix);
            json.WriteString("written", now);
            json.WriteString("cluster", listing.ClusterId.ToString("x", null));
            json.WriteNumber("revision", listing.Revision);
            json.WriteString("sha256", Convert.ToHexStringLower(SHA256.HashData(records.WrittenSpan)));
            json.WritePropertyName("records");
            json.WriteRawValue(records.WrittenSpan, skipInputValidation: true);
            json.WriteEndObject();
        }
    }

    /// <summary>Reads the records.</summary>
    /// <returns>The records, or null when they are damaged, of another prefix, or of another format.</returns>
    /// <exception cref="Exception">The content is not what was written.</exception>
    public static EtcdListing? Read(ReadOnlyMemory<byte> content, string prefix, out DateTimeOffset? writtenAt)
    {
        using var document = JsonDocument.Parse(content);
        var root = document.RootElement;
        writtenAt = root.TryGetProperty("written", out var written) && written.TryGetDateTimeOffset(out var time) ? time : null;
        if (root.GetProperty("version").GetInt32() != Version || root.GetProperty("prefix").GetString() != prefix)
        {
            return null;
        }

        var records = root.GetProperty("records");
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(records.GetRawText())));
        return hash != root.GetProperty("sha256").GetString()
            ? null
            : new EtcdListing
            {
                Items = [.. records.EnumerateArray().Select(ReadRecord)],
                Revision = root.GetProperty("revision").GetInt64(),
                ClusterId = ulong.Parse(root.GetProperty("cluster").GetString() ?? "", NumberStyles.HexNumber, null),
            };
    }

    private static void WriteRecords(Utf8JsonWriter json, IReadOnlyList<EtcdKeyValue> records)
    {
        json.WriteStartArray();
        foreach (var record in records)
        {
            json.WriteStartObject();
            json.WriteBase64String("key", record.KeyBytes.Span);
            json.WriteBase64String("value", record.Value.Span);
            json.WriteNumber("revision", record.ModRevision);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static EtcdKeyValue ReadRecord(JsonElement record)
    {
        var revision = record.GetProperty("revision").GetInt64();
        return new EtcdKeyValue
        {
            KeyBytes = record.GetProperty("key").GetBytesFromBase64(),
            Value = record.GetProperty("value").GetBytesFromBase64(),
            CreateRevision = revision,
            ModRevision = revision,
            Version = 1,
        };
    }
}
