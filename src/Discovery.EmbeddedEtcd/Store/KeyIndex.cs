using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Store;

/// <summary>
/// The histories in the order of their keys: sorted chunks of bounded size, so that a lookup is two binary searches, an insertion
/// moves at most one chunk, and a range is read in sequence.
/// </summary>
internal sealed class KeyIndex
{
    private const int ChunkSize = 512;

    private readonly List<List<KeyHistory>> _chunks = [];

    public int Count { get; private set; }

    public IEnumerable<KeyHistory> All => _chunks.SelectMany(static c => c);

    public KeyHistory? Find(ByteString key)
    {
        if (_chunks.Count == 0)
        {
            return null;
        }

        var chunk = _chunks[ChunkOf(key)];
        var index = Search(chunk, key);
        return index >= 0 ? chunk[index] : null;
    }

    public KeyHistory GetOrAdd(ByteString key)
    {
        if (_chunks.Count == 0)
        {
            _chunks.Add([]);
        }

        var position = ChunkOf(key);
        var chunk = _chunks[position];
        var index = Search(chunk, key);
        if (index >= 0)
        {
            return chunk[index];
        }

        var history = new KeyHistory(key);
        chunk.Insert(~index, history);
        Count++;
        if (chunk.Count > ChunkSize)
        {
            _chunks.Insert(position + 1, chunk.GetRange(ChunkSize / 2, chunk.Count - (ChunkSize / 2)));
            chunk.RemoveRange(ChunkSize / 2, chunk.Count - (ChunkSize / 2));
        }

        return history;
    }

    public void Remove(ByteString key)
    {
        var position = ChunkOf(key);
        var chunk = _chunks[position];
        chunk.RemoveAt(Search(chunk, key));
        Count--;
        if (chunk.Count == 0)
        {
            _chunks.RemoveAt(position);
        }
    }

    /// <summary>The histories in the range, in the order of their keys. The index must not change meanwhile.</summary>
    public IEnumerable<KeyHistory> In(KeyInterval range)
    {
        if (_chunks.Count == 0)
        {
            yield break;
        }

        var position = ChunkOf(range.Key);
        var index = Search(_chunks[position], range.Key);
        index = index < 0 ? ~index : index;
        for (; position < _chunks.Count; position++, index = 0)
        {
            var chunk = _chunks[position];
            for (; index < chunk.Count; index++)
            {
                if (range.EndsBefore(chunk[index].Key))
                {
                    yield break;
                }

                yield return chunk[index];
            }
        }
    }

    // The last chunk that starts at or before the key.
    private int ChunkOf(ByteString key)
    {
        var (low, high) = (1, _chunks.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_chunks[middle][0].Key.CompareTo(key) <= 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low - 1;
    }

    private static int Search(List<KeyHistory> chunk, ByteString key)
    {
        var (low, high) = (0, chunk.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            switch (chunk[middle].Key.CompareTo(key))
            {
                case 0:
                    return middle;
                case < 0:
                    low = middle + 1;
                    break;
                default:
                    high = middle;
                    break;
            }
        }

        return ~low;
    }
}
