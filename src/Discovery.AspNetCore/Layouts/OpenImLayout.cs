using System.Diagnostics.CodeAnalysis;
using System.Text;
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

    public string GetPrefix(string serviceName) => $"{_schema}:///{serviceName}/";

    public string GetKey(string serviceName, string address) => GetPrefix(serviceName) + address;

    public byte[]? Write(ServiceInstance instance) => instance.IsDraining ? null : Encoding.UTF8.GetBytes(instance.Address);

    public bool TryRead(
        string serviceName,
        EtcdKeyValue record,
        [NotNullWhen(true)] out ServiceInstance? instance,
        [NotNullWhen(false)] out string? problem)
    {
        instance = null;
        if (ServiceAddress.DecodeText(record) is not { } text)
        {
            problem = "the value is not UTF-8";
            return false;
        }

        if (!ServiceAddress.TryParse(text, out var address, out problem))
        {
            return false;
        }

        instance = new ServiceInstance
        {
            Key = record.Key,
            ServiceName = serviceName,
            Scheme = address.Scheme,
            Host = address.Host,
            Port = address.Port,
            Revision = record.ModRevision,
        };
        return true;
    }
}
