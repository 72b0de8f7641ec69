using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Store;

/// <summary>etcd's order of keys and values: byte by byte, unsigned.</summary>
internal static class ByteStringOrder
{
    public static int CompareTo(this ByteString left, ByteString right) => left.Span.SequenceCompareTo(right.Span);
}
