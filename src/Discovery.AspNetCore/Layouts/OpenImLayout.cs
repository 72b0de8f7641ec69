using System.Diagnostics.CodeAnalysis;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Layouts;

/// <summary>
/// The records of OpenIM v1 and v2: key <c>schema:///service/ip:port</c>, value <c>ip:port</c>. There is no room for anything else,
/// so an instance that drains is deleted.
/// </summary>
internal sealed class OpenImLayout(string? root) : IServiceLayout
{
    public const string LayoutName = ServiceLayouts.OpenIm;
    public const string DefaultSchema = "openim";

    private readonly string _schema = string.IsNullOrEmpty(root) ? DefaultSchema : root;

    public string Name => LayoutName;

    public bool SupportsDraining => false;

    public bool SupportsMetadata => false;

    public IServiceLayout WithRoot(string root) => new OpenImLayout(root);

    public string? RootPrefix => $"{_schema}:///";

    public string? GetServiceName(string key) => ServiceNames.FindInKey(RootPrefix, key);

    public string GetPrefix(string serviceName) => $"{_schema}:///{serviceName}/";

    public string GetKey(string serviceName, string address) => GetPrefix(serviceName) + address;

    public byte[]? Write(ServiceInstance instance) => AddressRecord.Write(instance);

    public bool TryRead(
        string serviceName,
        EtcdKeyValue record,
        [NotNullWhen(true)] out ServiceInstance? instance,
        [NotNullWhen(false)] out string? problem)
        => AddressRecord.TryRead(serviceName, record, out instance, out problem);
}
