using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Store;

/// <summary>The keys that a request means: one key, the half-open interval [key, end), or everything from a key on.</summary>
internal readonly struct KeyInterval : IEquatable<KeyInterval>
{
    private enum Kind
    {
        Single,
        Interval,
        FromKey,
    }

    private readonly Kind _kind;

    private KeyInterval(ByteString key, ByteString end, Kind kind)
    {
        Key = key;
        End = end;
        _kind = kind;
    }

    public ByteString Key { get; }

    public ByteString End { get; }

    public bool IsSingle => _kind == Kind.Single;

    public bool IsUnbounded => _kind == Kind.FromKey;

    /// <summary>No key can be inside: the end is not after the start.</summary>
    public bool IsEmpty => _kind == Kind.Interval && Key.CompareTo(End) >= 0;

    /// <summary>Reads key and range_end as etcd does: no end is one key, the end <c>\0</c> is no upper bound.</summary>
    public static KeyInterval Of(ByteString key, ByteString rangeEnd) => new(key, rangeEnd, rangeEnd.Length switch
    {
        0 => Kind.Single,
        1 when rangeEnd[0] == 0 => Kind.FromKey,
        _ => Kind.Interval,
    });

    public bool Contains(ByteString key) => _kind switch
    {
        Kind.Single => Key.Equals(key),
        Kind.Interval => key.CompareTo(Key) >= 0 && key.CompareTo(End) < 0,
        _ => key.CompareTo(Key) >= 0,
    };

    /// <summary>The key lies behind the range, so that an ordered walk may stop.</summary>
    public bool EndsBefore(ByteString key) => _kind switch
    {
        Kind.Single => key.CompareTo(Key) > 0,
        Kind.Interval => key.CompareTo(End) >= 0,
        _ => false,
    };

    public bool Equals(KeyInterval other) => _kind == other._kind && Key.Equals(other.Key) && End.Equals(other.End);

    public override bool Equals(object? obj) => obj is KeyInterval other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(_kind, Key, End);
}
