using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Layouts;

/// <summary>
/// The records of etcd's own Go package <c>naming/endpoints</c>: key <c>root/service/address</c>, value
/// <c>{"Op":0,"Addr":"10.0.0.1:5000","Metadata":…}</c>. What we say of an instance goes into the metadata, which is any JSON.
/// </summary>
/// <param name="root">What the keys begin with.</param>
/// <param name="asObject">
/// Whether the metadata is a JSON object and not a text of one. etcd's resolver puts what it decodes into grpc-go's address, and grpc-go
/// compares addresses: before version 1.42 as keys of a map, in all later ones field by field. Go can compare texts; at an object it panics,
/// and the process of the Go client ends.
/// </param>
internal sealed class EtcdNamingLayout(string? root, bool asObject = false) : IServiceLayout
{
    public const string LayoutName = ServiceLayouts.EtcdNaming;
    public const string DefaultRoot = "services/";

    /// <summary>Metadata up to this many bytes are read on the stack; ours have some 200.</summary>
    private const int MaxOnStack = 512;

    private static readonly string[] Fields = ["Addr", "Metadata"];

    private readonly string _root = root switch
    {
        null => DefaultRoot,
        "" => "",
        _ when root.EndsWith('/') => root,
        _ => root + "/",
    };

    public string Name => asObject ? ServiceLayouts.EtcdNamingObject : LayoutName;

    public bool SupportsDraining => true;

    public IServiceLayout WithRoot(string root) => new EtcdNamingLayout(root, asObject);

    public string? RootPrefix => _root.Length == 0 ? null : _root;

    public string? GetServiceName(string key) => ServiceNames.FindInKey(RootPrefix, key);

    public string GetPrefix(string serviceName) => $"{_root}{serviceName}/";

    public string GetKey(string serviceName, string address) => $"{_root}{serviceName}/{address}";

    public byte[] Write(ServiceInstance instance)
    {
        var json = new StringBuilder("""{"Op":0,"Addr":""");
        GoJson.AppendText(json, instance.Address).Append(",\"Metadata\":");
        _ = InstanceMetadata.ToObject(instance) switch
        {
            null => json.Append("null"),
            var metadata when asObject => json.Append(metadata),
            var metadata => GoJson.AppendText(json, metadata),
        };
        return Encoding.UTF8.GetBytes(json.Append('}').ToString());
    }

    public bool TryRead(
        string serviceName,
        EtcdKeyValue record,
        [NotNullWhen(true)] out ServiceInstance? instance,
        [NotNullWhen(false)] out string? problem)
        => ObjectRecord.TryRead(serviceName, record, Fields, [default, default], Read, out instance, out problem);

    private static ServiceInstance? Read(string serviceName, EtcdKeyValue record, ReadOnlySpan<FieldValue> fields, out string? problem)
        => ServiceAddress.TryParse(fields[0].Text, out var address, out problem) ? ReadMetadata(fields[1], address.ToInstance(serviceName, record)) : null;

    private static ServiceInstance ReadMetadata(FieldValue metadata, ServiceInstance instance)
    {
        if (metadata.Kind != JsonTokenType.String)
        {
            return InstanceMetadata.Read(metadata, instance);
        }

        var rented = metadata.Json.Length > MaxOnStack ? ArrayPool<byte>.Shared.Rent(metadata.Json.Length) : null;
        try
        {
            return metadata.TryGetInnerObject(rented ?? stackalloc byte[MaxOnStack], out var inner) ? ReadOwnText(inner, instance) : instance;
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }
    }

    private static ServiceInstance ReadOwnText(ReadOnlySpan<byte> json, ServiceInstance instance)
    {
        try
        {
            return InstanceMetadata.Read(json, instance);
        }
        catch (JsonException)
        {
            // Somebody's own text: it says nothing to us, and the address counts all the same.
            return instance;
        }
    }
}
