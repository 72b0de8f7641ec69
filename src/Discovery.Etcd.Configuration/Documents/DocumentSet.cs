using System.Collections.Immutable;

namespace Discovery.Etcd.Configuration.Documents;

/// <summary>
/// The documents under a prefix, each as it was last usable: a value that cannot be used does not take away what its key said before. Used by
/// one thread at a time.
/// </summary>
/// <param name="prefix">The prefix, which ends with a slash.</param>
/// <param name="onProblem">Told a key, what is wrong with it, and whether an earlier value stands. Once for as long as the value stands.</param>
internal sealed class DocumentSet(string prefix, Action<string, string, bool> onProblem)
{
    /// <summary>More is no configuration, but another part of etcd by mistake.</summary>
    private const int MaxSettings = 100_000;

    private readonly Dictionary<string, EtcdKeyValue> _rejected = new(StringComparer.Ordinal);
    private string? _firstLeftOut;
    private SortedDictionary<string, Document> _documents = new(StringComparer.Ordinal);

    /// <summary>The records that the settings come from.</summary>
    public IReadOnlyList<EtcdKeyValue> Records => [.. _documents.Values.Select(static d => d.Record)];

    /// <summary>Takes what stands in etcd now.</summary>
    public void Update(ImmutableSortedDictionary<string, EtcdKeyValue> items)
    {
        var updated = new SortedDictionary<string, Document>(StringComparer.Ordinal);
        foreach (var (key, record) in items)
        {
            var before = _documents.GetValueOrDefault(key);
            if (before is not null && record.CreateRevision > before.Record.ModRevision)
            {
                // It was deleted meanwhile, though nobody saw it gone.
                before = null;
            }

            if (before is not null && HasSameValue(before.Record, record))
            {
                // Good again: the same broken value is a new mistake.
                _rejected.Remove(key);
                updated.Add(key, before with { Record = record });
            }
            else if (Read(record, before) is { } document)
            {
                updated.Add(key, document);
            }
        }

        foreach (var key in _rejected.Keys.Where(k => !items.ContainsKey(k)).ToList())
        {
            _rejected.Remove(key);
        }

        _documents = updated;
    }

    /// <summary>All settings. Of two for one path, that of the later key in ordinal order is taken.</summary>
    public Dictionary<string, string?> Merge()
    {
        var merged = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        string? leftOut = null;
        foreach (var document in _documents.Values)
        {
            if (merged.Count + document.Settings.Count > MaxSettings)
            {
                leftOut = document.Record.Key;
                break;
            }

            foreach (var (path, value) in document.Settings)
            {
                merged[path] = value;
            }
        }

        if (leftOut is not null && leftOut != _firstLeftOut)
        {
            onProblem(leftOut, $"there are more than {MaxSettings} settings under the prefix, so the keys from this one on are not read", false);
        }

        _firstLeftOut = leftOut;
        return merged;
    }

    private static bool HasSameValue(EtcdKeyValue one, EtcdKeyValue other) => one.Value.Span.SequenceEqual(other.Value.Span);

    private Document? Read(EtcdKeyValue record, Document? before)
    {
        try
        {
            var document = Document.Read(prefix, record, before is { IsJson: true });
            _rejected.Remove(record.Key);
            return document;
        }
        catch (DocumentException e)
        {
            if (!_rejected.TryGetValue(record.Key, out var known) || !HasSameValue(known, record))
            {
                _rejected[record.Key] = record;
                onProblem(record.Key, e.Message, before is not null);
            }

            return before;
        }
    }
}
