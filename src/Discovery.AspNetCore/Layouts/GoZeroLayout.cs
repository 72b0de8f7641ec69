using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Layouts;

/// <summary>
/// The records of go-zero: key <c>service/id</c>, where the service is <c>Etcd.Key</c> and the id that of the lease or <c>Etcd.ID</c>,
/// value <c>ip:port</c>. A go-zero server whose lease changes has two keys for a while.
/// </summary>
internal sealed class GoZeroLayout(string? root) : IServiceLayout
{
    private readonly string _root = string.IsNullOrEmpty(root) || root.EndsWith('/') ? root ?? "" : root + "/";

    public string Name => ServiceLayouts.GoZero;

    public bool SupportsDraining => false;

    public bool SupportsMetadata => false;

    public IServiceLayout WithRoot(string root) => new GoZeroLayout(root);

    public string? RootPrefix => _root.Length == 0 ? null : _root;

    public string? GetServiceName(string key) => ServiceNames.FindInKey(RootPrefix, key);

    public string GetPrefix(string serviceName) => $"{_root}{serviceName}/";

    public string GetKey(string serviceName, string address) => GetPrefix(serviceName) + GetId(address).ToString(CultureInfo.InvariantCulture);

    public byte[]? Write(ServiceInstance instance) => AddressRecord.Write(instance);

    public bool TryRead(
        string serviceName,
        EtcdKeyValue record,
        [NotNullWhen(true)] out ServiceInstance? instance,
        [NotNullWhen(false)] out string? problem)
        => AddressRecord.TryRead(serviceName, record, out instance, out problem);

    /// <summary>A positive id, as <c>Etcd.ID</c> is. Made of the address, so that a key stays when the lease changes.</summary>
    private static long GetId(string address)
        => Math.Max(1, BinaryPrimitives.ReadInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(address))) & long.MaxValue);
}
