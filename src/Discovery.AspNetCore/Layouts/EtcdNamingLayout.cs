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
        => ObjectRecord.TryRead(record, (JsonElement fields, out string? reason) => Read(serviceName, record, fields, out reason), out instance, out problem);

    private static ServiceInstance? Read(string serviceName, EtcdKeyValue record, JsonElement fields, out string? problem)
        => ServiceAddress.TryParse(ObjectRecord.GetText(fields, "Addr"), out var address, out problem)
            ? ReadMetadata(ObjectRecord.Get(fields, "Metadata"), address.ToInstance(serviceName, record)) : null;

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
