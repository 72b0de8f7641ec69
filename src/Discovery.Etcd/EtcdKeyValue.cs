using System.Text;

namespace Discovery.Etcd;

/// <summary>One record as it stands, or stood, in etcd.</summary>
/// <param name="KeyBytes">The key's bytes.</param>
/// <param name="Value">The value's bytes; empty for a deleted key.</param>
/// <param name="CreateRevision">The revision at which the key was created.</param>
/// <param name="ModRevision">The revision of the last change.</param>
/// <param name="Version">How often the key was put since it was created; 0 for a deleted key.</param>
/// <param name="LeaseId">The lease the key hangs on; 0 for none.</param>
public sealed record EtcdKeyValue(
    ReadOnlyMemory<byte> KeyBytes, ReadOnlyMemory<byte> Value, long CreateRevision, long ModRevision, long Version, long LeaseId)
{
    /// <summary>The key as text. Bytes that are not UTF-8 become U+FFFD.</summary>
    public string Key { get; } = Encoding.UTF8.GetString(KeyBytes.Span);
}
