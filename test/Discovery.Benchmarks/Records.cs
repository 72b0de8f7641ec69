using System.Globalization;
using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;

namespace Discovery.Benchmarks;

/// <summary>Records as registrations of this library write them.</summary>
internal static class Records
{
    private static readonly EtcdNamingLayout Layout = new(root: null);

    /// <summary>What lies before the keys of all services.</summary>
    public const string Root = EtcdNamingLayout.DefaultRoot;

    public static string PrefixOf(string service) => Layout.GetPrefix(service);

    public static string KeyOf(string service, string address) => Layout.GetKey(service, address);

    /// <summary>An address that no other number gives.</summary>
    public static string AddressOf(int number)
        => string.Create(CultureInfo.InvariantCulture, $"10.{number / 62_500}.{number / 250 % 250}.{(number % 250) + 1}:5000");

    public static byte[] ValueOf(string service, string address, bool isDraining = false)
    {
        var host = address.Split(':');
        return Layout.Write(new ServiceInstance
        {
            Key = KeyOf(service, address),
            ServiceName = service,
            Host = host[0],
            Port = int.Parse(host[1], CultureInfo.InvariantCulture),
            Scheme = Uri.UriSchemeHttp,
            Protocols = InstanceProtocols.Http2,
            InstanceId = "id-" + address,
            Version = "1.2.3",
            IsDraining = isDraining,
        });
    }

    /// <summary>The record as a list or an event of etcd has it.</summary>
    public static EtcdKeyValue Create(string service, string address, long revision, bool isDraining = false) => new()
    {
        KeyBytes = Encoding.UTF8.GetBytes(KeyOf(service, address)),
        Value = ValueOf(service, address, isDraining),
        CreateRevision = 1,
        ModRevision = revision,
        Version = 1,
    };
}
