using System.Collections.Immutable;
using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Yarp.ProxyConfig;

/// <summary>
/// The documents of one kind, each with the last version that the proxy can use: what is wrong with one is said once and concerns no other.
/// Used by one loop.
/// </summary>
/// <typeparam name="T">What a document holds.</typeparam>
/// <param name="prefix">What the keys begin with; the rest is the id.</param>
/// <param name="read">Reads a document; a <see cref="FormatException"/> says what is wrong.</param>
/// <param name="findProblem">Says why the proxy would refuse it, or null.</param>
/// <param name="logger">The logger.</param>
internal sealed partial class DocumentFolder<T>(
    string prefix, Func<string, ReadOnlyMemory<byte>, T> read, Func<T, CancellationToken, Task<string?>> findProblem, ILogger logger)
    where T : class
{
    private readonly SortedDictionary<string, Entry> _byKey = new(StringComparer.Ordinal);

    /// <summary>Whether a key belongs here.</summary>
    public bool Has(string key) => key.StartsWith(prefix, StringComparison.Ordinal);

    /// <summary>Takes over what has changed.</summary>
    /// <returns>What the proxy can use, by id. YARP does not tell ids apart by their case, so of two that differ by it alone the first counts.</returns>
    public async Task<ImmutableSortedDictionary<string, T>> UpdateAsync(
        ImmutableSortedDictionary<string, EtcdKeyValue> records, CancellationToken cancellationToken)
    {
        foreach (var gone in _byKey.Keys.Where(key => !records.ContainsKey(key)).ToList())
        {
            _byKey.Remove(gone);
        }

        var usable = ImmutableSortedDictionary.CreateBuilder<string, T>(StringComparer.OrdinalIgnoreCase);
        foreach (var record in records.Values.Where(r => Has(r.Key)))
        {
            var entry = await ReadAsync(record, cancellationToken).ConfigureAwait(false);
            _byKey[record.Key] = entry;
            var id = record.Key[prefix.Length..];
            if (entry.Usable is not { } document || usable.TryAdd(id, document))
            {
                entry.HasRival = false;
            }
            else if (!entry.HasRival)
            {
                entry.HasRival = true;
                Log.Rival(logger, ForeignText.Show(record.Key));
            }
        }

        return usable.ToImmutable();
    }

    private async Task<Entry> ReadAsync(EtcdKeyValue record, CancellationToken cancellationToken)
    {
        // After a restore of etcd another text may stand at the same revision.
        var known = _byKey.GetValueOrDefault(record.Key);
        if (known is not null && known.Record.ModRevision == record.ModRevision && known.Record.Value.Span.SequenceEqual(record.Value.Span))
        {
            return known;
        }

        var (document, problem) = await TryReadAsync(record, cancellationToken).ConfigureAwait(false);
        if (problem is null)
        {
            return new Entry(record, document);
        }

        if (known?.Usable is { } last)
        {
            Log.Kept(logger, ForeignText.Show(record.Key), record.ModRevision, problem);
            return new Entry(record, last);
        }

        Log.Skipped(logger, ForeignText.Show(record.Key), record.ModRevision, problem);
        return new Entry(record, null);
    }

    private async Task<(T? Document, string? Problem)> TryReadAsync(EtcdKeyValue record, CancellationToken cancellationToken)
    {
        var id = record.Key[prefix.Length..];
        if (string.IsNullOrWhiteSpace(id))
        {
            return (null, "the key has no id");
        }

        try
        {
            var document = read(id, record.Value);
            return await findProblem(document, cancellationToken).ConfigureAwait(false) is { } problem
                ? (null, ForeignText.Show(problem, 500)) : (document, null);
        }
        catch (FormatException e)
        {
            return (null, e.Message);
        }
    }

    private sealed class Entry(EtcdKeyValue record, T? usable)
    {
        public EtcdKeyValue Record => record;

        /// <summary>The newest version that the proxy can use; null if there was none.</summary>
        public T? Usable => usable;

        /// <summary>Whether another key has the id, and it was said.</summary>
        public bool HasRival { get; set; }
    }

    private static partial class Log
    {
        [LoggerMessage(4103, LogLevel.Error, "The document {Key} of revision {Revision} is left out of the proxy's configuration: {Problem}")]
        public static partial void Skipped(ILogger logger, string key, long revision, string problem);

        [LoggerMessage(4104, LogLevel.Error, "The document {Key} of revision {Revision} is not used, the proxy goes on with the one before it: {Problem}")]
        public static partial void Kept(ILogger logger, string key, long revision, string problem);

        [LoggerMessage(4105, LogLevel.Error, "The document {Key} is left out of the proxy's configuration: another key has the same id but for upper and lower case.")]
        public static partial void Rival(ILogger logger, string key);
    }
}
