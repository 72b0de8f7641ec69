using Google.Protobuf;

namespace Discovery.Etcd.KeyValues;

/// <summary>A range of keys as etcd takes it: from <see cref="Start"/> up to, not including, <see cref="End"/>.</summary>
/// <param name="Start">The first key.</param>
/// <param name="End">The end; empty for the one key <see cref="Start"/>, a zero byte for "all keys from there".</param>
internal readonly record struct KeyRange(ByteString Start, ByteString End)
{
    private static readonly ByteString Zero = ByteString.CopyFrom(0);

    /// <summary>One key.</summary>
    public static KeyRange Single(string key) => new(ByteString.CopyFromUtf8(key), ByteString.Empty);

    /// <summary>All keys with a prefix; all keys for the empty prefix.</summary>
    public static KeyRange Prefix(string prefix)
    {
        var start = ByteString.CopyFromUtf8(prefix);
        return start.IsEmpty ? new KeyRange(Zero, Zero) : new KeyRange(start, PrefixEnd(start));
    }

    /// <summary>The first key after all keys with a prefix, computed on bytes: keys need not be text.</summary>
    public static ByteString PrefixEnd(ByteString prefix)
    {
        var end = prefix.ToByteArray();
        for (var i = end.Length - 1; i >= 0; i--)
        {
            if (end[i] < 0xff)
            {
                end[i]++;
                return ByteString.CopyFrom(end, 0, i + 1);
            }
        }

        return Zero;
    }

    /// <summary>The part of the range after a key.</summary>
    public KeyRange After(ByteString key) => this with { Start = ByteString.CopyFrom([.. key.Span, 0]) };
}
