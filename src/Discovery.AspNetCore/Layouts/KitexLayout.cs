using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Layouts;

/// <summary>
/// The records of Kitex' <c>registry-etcd</c>: key <c>kitex/registry-etcd/service/ip:port</c>, value
/// <c>{"network":"tcp","address":"10.0.0.1:8888","weight":10,"tags":null}</c>. What we say of an instance goes into the tags, which
/// are texts.
/// </summary>
internal sealed class KitexLayout(string? root) : IServiceLayout
{
    private const string DefaultRoot = "kitex/registry-etcd";

    private static readonly string[] Fields = ["network", "address", "weight", "tags"];

    private readonly string _root = string.IsNullOrEmpty(root) ? DefaultRoot : root.TrimEnd('/');

    public string Name => ServiceLayouts.Kitex;

    public bool SupportsDraining => true;

    public IServiceLayout WithRoot(string root) => new KitexLayout(root);

    public string? RootPrefix => $"{_root}/";

    public string? GetServiceName(string key) => ServiceNames.FindInKey(RootPrefix, key);

    public string GetPrefix(string serviceName) => $"{_root}/{serviceName}/";

    public string GetKey(string serviceName, string address) => GetPrefix(serviceName) + address;

    public byte[] Write(ServiceInstance instance)
    {
        var tags = InstanceMetadata.ToTexts(instance);
        if (instance.Weight > 0)
        {
            // It has a field of its own.
            tags.Remove(InstanceMetadata.Weight);
        }

        // Kitex takes 0 for its default of 10; 1 is the least that it can be told.
        var weight = Math.Max(1, instance.Weight);
        var json = new StringBuilder("""{"network":"tcp","address":""");
        GoJson.AppendText(json, instance.Address).Append(CultureInfo.InvariantCulture, $",\"weight\":{weight},\"tags\":");
        GoJson.AppendMap(json, tags).Append('}');
        return Encoding.UTF8.GetBytes(json.ToString());
    }

    public bool TryRead(
        string serviceName,
        EtcdKeyValue record,
        [NotNullWhen(true)] out ServiceInstance? instance,
        [NotNullWhen(false)] out string? problem)
        => ObjectRecord.TryRead(serviceName, record, Fields, [default, default, default, default], Read, out instance, out problem);

    private static ServiceInstance? Read(string serviceName, EtcdKeyValue record, ReadOnlySpan<FieldValue> fields, out string? problem)
    {
        if (fields[0].Text is { Length: > 0 } network && !network.StartsWith("tcp", StringComparison.OrdinalIgnoreCase))
        {
            problem = $"the network '{ForeignText.Show(network)}' is not tcp";
            return null;
        }

        if (!ServiceAddress.TryParse(fields[1].Text, out var address, out problem))
        {
            return null;
        }

        var weight = fields[2] is { Kind: JsonTokenType.Number } given ? InstanceMetadata.AsWeight(Encoding.UTF8.GetString(given.Json.Span)) : 0;
        return InstanceMetadata.Read(fields[3], address.ToInstance(serviceName, record) with
        {
            Weight = weight > 0 ? weight : ServiceInstance.DefaultWeight,
        });
    }
}
