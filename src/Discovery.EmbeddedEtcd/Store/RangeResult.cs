using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.Store;

/// <summary>What a read found.</summary>
/// <param name="Records">The records in the order of their keys, up to the limit; empty where only a count was asked for.</param>
/// <param name="Count">How many there are without the limit.</param>
internal readonly record struct RangeResult(List<KeyValue> Records, long Count);
