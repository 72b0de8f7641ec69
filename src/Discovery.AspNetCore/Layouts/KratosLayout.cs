using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Layouts;

/// <summary>
/// The records of Kratos: key <c>/microservices/service/id</c>, value
/// <c>{"id":"…","name":"service","version":"","metadata":{…},"endpoints":["grpc://10.0.0.1:9000?isSecure=false"]}</c>. A Kratos
/// application writes one record with all of its endpoints. A single value that Kratos cannot decode fails every Kratos client's list,
/// also that of a service whose name only begins alike, so metadata are texts without exception.
/// </summary>
internal sealed class KratosLayout(string? root) : IServiceLayout
{
    private const string DefaultRoot = "/microservices";

    // Kratos' clients give an instance that says nothing 100, and ours 10.
    private const int WeightUnit = 100 / ServiceInstance.DefaultWeight;

    private static readonly string[] Fields = ["name", "endpoints", "metadata", "id", "version"];

    private readonly string _root = string.IsNullOrEmpty(root) ? DefaultRoot : root.TrimEnd('/');

    public string Name => ServiceLayouts.Kratos;

    public bool SupportsDraining => true;

    public IServiceLayout WithRoot(string root) => new KratosLayout(root);

    public string? RootPrefix => $"{_root}/";

    public string? GetServiceName(string key) => ServiceNames.FindInKey(RootPrefix, key);

    public string GetPrefix(string serviceName) => $"{_root}/{serviceName}/";

    public string GetKey(string serviceName, string address) => GetPrefix(serviceName) + address;

    public byte[] Write(ServiceInstance instance)
    {
        var metadata = InstanceMetadata.ToTexts(instance);
        metadata.Remove(InstanceMetadata.Id);
        metadata.Remove(InstanceMetadata.Version);

        if (metadata.ContainsKey(InstanceMetadata.Weight))
        {
            metadata[InstanceMetadata.Weight] = ((long)instance.Weight * WeightUnit).ToString(CultureInfo.InvariantCulture);
        }

        // The scheme of an endpoint says both.
        metadata.Remove(InstanceMetadata.Scheme);
        var json = new StringBuilder("""{"id":""");
        GoJson.AppendText(json, instance.InstanceId ?? instance.Address).Append(",\"name\":");
        GoJson.AppendText(json, instance.ServiceName).Append(",\"version\":");
        GoJson.AppendText(json, instance.Version ?? "").Append(",\"metadata\":");
        GoJson.AppendMap(json, metadata).Append(",\"endpoints\":[");
        json.AppendJoin(',', KratosEndpoint.Of(instance).Select(GoJson.ToText)).Append("]}");
        return Encoding.UTF8.GetBytes(json.ToString());
    }

    public bool TryRead(
        string serviceName,
        EtcdKeyValue record,
        [NotNullWhen(true)] out ServiceInstance? instance,
        [NotNullWhen(false)] out string? problem)
    {
        instance = TryReadAll(serviceName, record, out var instances, out problem) ? instances[0] : null;
        return instance is not null;
    }

    public bool TryReadAll(
        string serviceName,
        EtcdKeyValue record,
        [NotNullWhen(true)] out IReadOnlyList<ServiceInstance>? instances,
        [NotNullWhen(false)] out string? problem)
        => ObjectRecord.TryRead(serviceName, record, Fields, [default, default, default, default, default], Read, out instances, out problem);

    // Kratos lets a name have slashes. What is before the last one is part of our root.
    private static bool IsUnderRoot(string name, string serviceName, string key)
        => name.EndsWith("/" + serviceName, StringComparison.Ordinal) && key.Contains($"/{name}/", StringComparison.Ordinal);

    private static IReadOnlyList<ServiceInstance>? Read(string serviceName, EtcdKeyValue record, ReadOnlySpan<FieldValue> fields, out string? problem)
    {
        if (fields[0].Text is { Length: > 0 } name && name != serviceName && !IsUnderRoot(name, serviceName, record.Key))
        {
            problem = $"it is of the service '{ForeignText.Show(name)}'";
            return null;
        }

        problem = "it has no endpoints";
        var endpoints = fields[1];
        var found = new Dictionary<string, ServiceInstance>(StringComparer.Ordinal);
        if (endpoints.Kind != JsonTokenType.StartArray)
        {
            return null;
        }

        var reader = ObjectRecord.CreateReader(endpoints.Json.Span);
        reader.Read();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var text = reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
            reader.Skip();
            if (!KratosEndpoint.TryParse(text, out var address, out var protocols, out var unreadable))
            {
                problem = unreadable;
                continue;
            }

            var instance = address.ToInstance(serviceName, record) with { Protocols = protocols };
            found[instance.Address] = found.TryGetValue(instance.Address, out var same)
                ? same with { Protocols = same.Protocols | protocols } : instance;
        }

        if (found.Count == 0)
        {
            return null;
        }

        problem = null;
        var (metadata, id, version) = (fields[2], fields[3].ReadableText, fields[4].ReadableText);
        return [.. found.Values.Select(instance => InstanceMetadata.Read(metadata, instance, WeightUnit) with
        {
            Scheme = instance.Scheme,
            InstanceId = string.IsNullOrEmpty(id) ? null : id,
            Version = string.IsNullOrEmpty(version) ? null : version,
        })];
    }
}
