using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text.Encodings.Web;
using System.Text.Json;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Layouts;

/// <summary>
/// The records of etcd's own Go package <c>naming/endpoints</c>: key <c>root/service/address</c>, value
/// <c>{"Op":0,"Addr":"10.0.0.1:5000","Metadata":{…}}</c>. What we say of an instance goes into the metadata, which is any JSON.
/// </summary>
/// <param name="root">What the keys begin with.</param>
/// <param name="asText">
/// Whether the metadata is a text of JSON and not an object. etcd's resolver puts it into grpc-go's address, which balancers before version
/// 1.42 use as the key of a map: an object there ends the process of the Go client, a text does not.
/// </param>
internal sealed class EtcdNamingLayout(string? root, bool asText = false) : IServiceLayout
{
    public const string LayoutName = ServiceLayouts.EtcdNaming;
    public const string DefaultRoot = "services/";

    private static readonly JsonWriterOptions WriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly string _root = root switch
    {
        null => DefaultRoot,
        "" => "",
        _ when root.EndsWith('/') => root,
        _ => root + "/",
    };

    public string Name => asText ? ServiceLayouts.EtcdNamingText : LayoutName;

    public bool SupportsDraining => true;

    public IServiceLayout WithRoot(string root) => new EtcdNamingLayout(root, asText);

    public string GetPrefix(string serviceName) => $"{_root}{serviceName}/";

    public string GetKey(string serviceName, string address) => $"{_root}{serviceName}/{address}";

    public byte[] Write(ServiceInstance instance)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer, WriterOptions))
        {
            json.WriteStartObject();
            json.WriteNumber("Op"u8, 0);
            json.WriteString("Addr"u8, instance.Address);
            if (InstanceMetadata.ToTexts(instance).Count == 0)
            {
                json.WriteNull("Metadata"u8);
            }
            else if (asText)
            {
                json.WriteString("Metadata"u8, WriteMetadata(instance));
            }
            else
            {
                json.WriteStartObject("Metadata"u8);
                InstanceMetadata.Write(json, instance);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    public bool TryRead(
        string serviceName,
        EtcdKeyValue record,
        [NotNullWhen(true)] out ServiceInstance? instance,
        [NotNullWhen(false)] out string? problem)
    {
        instance = null;
        try
        {
            using var document = JsonDocument.Parse(record.Value);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                problem = "the value is no JSON object";
                return false;
            }

            string? text = null;
            var metadata = default(JsonElement);
            foreach (var property in document.RootElement.EnumerateObject())
            {
                // Go reads field names in any case, so records written by hand or by other tools may have any.
                if (property.Name.Equals("Addr", StringComparison.OrdinalIgnoreCase))
                {
                    text = property.Value.ValueKind == JsonValueKind.String ? property.Value.GetString() : null;
                }
                else if (property.Name.Equals("Metadata", StringComparison.OrdinalIgnoreCase))
                {
                    metadata = property.Value;
                }
            }

            if (!ServiceAddress.TryParse(text, out var address, out problem))
            {
                return false;
            }

            instance = ReadMetadata(metadata, address.ToInstance(serviceName, record));
            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: a JSON string with an unpaired surrogate cannot be had as text.
            problem = "the value is no valid JSON";
            return false;
        }
    }

    private static byte[] WriteMetadata(ServiceInstance instance)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer, WriterOptions))
        {
            json.WriteStartObject();
            InstanceMetadata.Write(json, instance);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static ServiceInstance ReadMetadata(JsonElement metadata, ServiceInstance instance)
    {
        if (metadata.ValueKind != JsonValueKind.String || metadata.GetString() is not ['{', ..] text)
        {
            return InstanceMetadata.Read(metadata, instance);
        }

        try
        {
            using var document = JsonDocument.Parse(text);
            return InstanceMetadata.Read(document.RootElement, instance);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Somebody's own text: it says nothing to us, and the address counts all the same.
            return instance;
        }
    }
}
