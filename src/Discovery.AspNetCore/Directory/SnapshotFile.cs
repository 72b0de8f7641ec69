using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Directory;

/// <summary>The records of a service as etcd last had them, on disk, for an application that starts while etcd is away.</summary>
internal sealed partial class SnapshotFile
{
    /// <summary>The format; a file of another one is left alone.</summary>
    private const int FormatVersion = 1;

    private readonly string _path;
    private readonly string _prefix;
    private readonly ILogger _logger;

    public SnapshotFile(string directory, string serviceName, string prefix, ILogger logger)
    {
        // The name is for people, the hash tells services apart whose names differ in what file systems do not.
        var readable = string.Concat(serviceName.Select(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' ? c : '_'));
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(prefix)).AsSpan(0, 6));
        _path = Path.Combine(directory, $"{readable[..Math.Min(readable.Length, 80)]}-{hash}.json");
        _prefix = prefix;
        _logger = logger;
    }

    /// <summary>Writes the file whole or not at all. A failure is logged: calls do not depend on it.</summary>
    public void Write(EtcdListing listing)
    {
        try
        {
            var records = new ArrayBufferWriter<byte>();
            using (var json = new Utf8JsonWriter(records))
            {
                WriteRecords(json, listing.Items);
            }

            System.IO.Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
            var temporary = $"{_path}.{Environment.ProcessId}.tmp";
            using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None))
            {
                using (var json = new Utf8JsonWriter(stream))
                {
                    json.WriteStartObject();
                    json.WriteNumber("version", FormatVersion);
                    json.WriteString("prefix", _prefix);
                    json.WriteString("cluster", listing.ClusterId.ToString("x", null));
                    json.WriteNumber("revision", listing.Revision);
                    json.WriteString("sha256", Convert.ToHexStringLower(SHA256.HashData(records.WrittenSpan)));
                    json.WritePropertyName("records");
                    json.WriteRawValue(records.WrittenSpan, skipInputValidation: true);
                    json.WriteEndObject();
                }

                // Renaming is atomic, but only what has reached the disk survives a power cut under the new name.
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, _path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Log.NotWritten(_logger, _path, e);
        }
    }

    /// <summary>Reads the file. One that is absent, damaged or of another format reads as none.</summary>
    public bool TryRead([NotNullWhen(true)] out EtcdListing? listing)
    {
        listing = null;
        try
        {
            if (!File.Exists(_path))
            {
                return false;
            }

            using var document = JsonDocument.Parse(File.ReadAllBytes(_path));
            var root = document.RootElement;
            if (root.GetProperty("version").GetInt32() != FormatVersion || root.GetProperty("prefix").GetString() != _prefix)
            {
                Log.NotUsable(_logger, _path, null);
                return false;
            }

            var records = root.GetProperty("records");
            var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(records.GetRawText())));
            if (hash != root.GetProperty("sha256").GetString())
            {
                Log.NotUsable(_logger, _path, null);
                return false;
            }

            listing = new EtcdListing
            {
                Items = [.. records.EnumerateArray().Select(ReadRecord)],
                Revision = root.GetProperty("revision").GetInt64(),
                ClusterId = ulong.Parse(root.GetProperty("cluster").GetString() ?? "", System.Globalization.NumberStyles.HexNumber, null),
            };
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or KeyNotFoundException
            or InvalidOperationException or FormatException or OverflowException)
        {
            Log.NotUsable(_logger, _path, e);
            return false;
        }
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

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The snapshot {Path} could not be written; calls do not depend on it.")]
        public static partial void NotWritten(ILogger logger, string path, Exception exception);

        [LoggerMessage(2, LogLevel.Warning, "The snapshot {Path} is damaged or of another format and is not used.")]
        public static partial void NotUsable(ILogger logger, string path, Exception? exception);
    }
}
