using System.Diagnostics.CodeAnalysis;
using System.Text;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Layouts;

/// <summary>A record whose value is <c>ip:port</c> and nothing else.</summary>
internal static class AddressRecord
{
    /// <summary>The value; none for an instance that drains, because there is no room to say so.</summary>
    public static byte[]? Write(ServiceInstance instance) => instance.IsDraining ? null : Encoding.UTF8.GetBytes(instance.Address);

    /// <summary>Reads the value.</summary>
    public static bool TryRead(
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

        instance = address.ToInstance(serviceName, record);
        return true;
    }
}
