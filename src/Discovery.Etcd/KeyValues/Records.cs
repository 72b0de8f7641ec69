using Discovery.Etcd.Protocol;

namespace Discovery.Etcd.KeyValues;

/// <summary>Turns etcd's messages into the public records, without copying keys and values.</summary>
internal static class Records
{
    public static EtcdKeyValue From(KeyValue kv) =>
        new(kv.Key.Memory, kv.Value.Memory, kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease);
}
