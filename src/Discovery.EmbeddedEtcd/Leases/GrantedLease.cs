using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Leases;

/// <summary>A granted lease and the keys that go with it.</summary>
internal sealed class GrantedLease(long id, long ttl)
{
    public long Id => id;

    /// <summary>The time to live granted, in seconds.</summary>
    public long Ttl => ttl;

    /// <summary>When it ends, on the clock of the lease table. The table orders leases by it and alone may change it.</summary>
    public TimeSpan ExpiresAt { get; set; }

    public HashSet<ByteString> Keys { get; } = [];
}
