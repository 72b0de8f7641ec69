using System.Buffers.Binary;
using System.Numerics;
using Discovery.Etcd.Protocol;
using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Store;

/// <summary>
/// etcd's checksum of its history, CRC-32C over the records as etcd has them on disk: two stores with the same history have the
/// same, whichever etcd holds them.
/// </summary>
internal static class StoreHash
{
    private static ReadOnlySpan<byte> Bucket => "key"u8;

    /// <param name="histories">All keys.</param>
    /// <param name="revision">The last revision that counts.</param>
    /// <param name="compacted">The compacted revision. Of what it left over, only what still exists at the last revision counts.</param>
    public static uint Of(IEnumerable<KeyHistory> histories, long revision, long compacted)
    {
        var keys = histories.ToList();
        // etcd leaves nothing out when there is nothing to keep.
        var isEmpty = keys.TrueForAll(k => k.At(revision) is null);
        var changes = keys
            .SelectMany(k => k.Changes)
            .Where(c => c.Revision <= revision && (c.Revision > compacted || Counts(c)))
            .OrderBy(c => c.Revision)
            .ThenBy(c => c.Index);

        bool Counts(Change leftOver)
            => !leftOver.IsDelete && (isEmpty || ReferenceEquals(leftOver.History.At(revision), leftOver.Record));

        var crc = Add(uint.MaxValue, Bucket);
        foreach (var change in changes)
        {
            crc = Add(crc, PositionOf(change));
            crc = Add(crc, RecordOf(change).ToByteArray());
        }

        return ~crc;
    }

    // The name of a record on disk: revision, "_", its place in the transaction, and "t" for a deletion.
    private static byte[] PositionOf(Change change)
    {
        var position = new byte[change.IsDelete ? 18 : 17];
        BinaryPrimitives.WriteInt64BigEndian(position, change.Revision);
        position[8] = (byte)'_';
        BinaryPrimitives.WriteInt64BigEndian(position.AsSpan(9), change.Index);
        if (change.IsDelete)
        {
            position[17] = (byte)'t';
        }

        return position;
    }

    // A deletion has only its key on disk; the revision is that of its name.
    private static KeyValue RecordOf(Change change)
        => change.IsDelete ? new KeyValue { Key = change.Record.Key } : change.Record;

    private static uint Add(uint crc, ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes)
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        return crc;
    }
}
