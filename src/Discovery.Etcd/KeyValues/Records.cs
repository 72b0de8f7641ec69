using Discovery.Etcd.Protocol;

namespace Discovery.Etcd.KeyValues;

/// <summary>Turns etcd's messages into the public records, without copying keys and values.</summary>
internal static class Records
{
    public static EtcdKeyValue From(KeyValue kv) => new()
    {
        KeyBytes = kv.Key.Memory,
        Value = kv.Value.Memory,
        CreateRevision = kv.CreateRevision,
        ModRevision = kv.ModRevision,
        Version = kv.Version,
        LeaseId = kv.Lease,
    };
}
