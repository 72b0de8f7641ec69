using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Watching;

/// <summary>Reads the records below a root. A change costs the reading of the records that it touches. Used by one loop.</summary>
internal sealed class RootReader(ServiceRoot root)
{
    private Dictionary<string, RootRecord> _byKey = new(StringComparer.Ordinal);

    public string Prefix => root.Prefix;

    /// <summary>Reads the records that are new.</summary>
    public RootState Read(EtcdPrefixSnapshot snapshot)
    {
        var known = _byKey;
        _byKey = new Dictionary<string, RootRecord>(snapshot.Items.Count, StringComparer.Ordinal);
        foreach (var record in snapshot.Items.Values.Where(r => !root.InnerPrefixes.Any(inner => r.Key.StartsWith(inner, StringComparison.Ordinal))))
        {
            _byKey[record.Key] = known.TryGetValue(record.Key, out var same) && ReferenceEquals(same.Record, record) ? same : Read(record);
        }

        return new RootState(
            [.. _byKey.Values.Where(static r => r.Instances.Count > 0)],
            _byKey.Values.Count(static r => r.Instances.Count == 0) + snapshot.SkippedKeys,
            _byKey.Values.FirstOrDefault(static r => r.Instances.Count == 0)?.Record.Key);
    }

    private RootRecord Read(EtcdKeyValue record)
    {
        foreach (var layout in root.Layouts)
        {
            try
            {
                if (layout.GetServiceName(record.Key) is { } name
                    && ServiceNames.GetProblem(name) is null
                    && record.Key.StartsWith(layout.GetPrefix(name), StringComparison.Ordinal)
                    && layout.TryReadAll(name, record, out var instances, out _))
                {
                    return new RootRecord(record, name, layout.SupportsMetadata, instances);
                }
            }
            catch (Exception)
            {
                // The layout may be the application's own. Its fault costs this record only.
            }
        }

        return new RootRecord(record, "", SupportsMetadata: false, []);
    }
}

/// <summary>A record below a root; without instances if it is that of no service.</summary>
internal sealed record RootRecord(EtcdKeyValue Record, string ServiceName, bool SupportsMetadata, IReadOnlyList<ServiceInstance> Instances);

/// <summary>What was found below a root.</summary>
/// <param name="Records">The records that are instances.</param>
/// <param name="Skipped">How many are none.</param>
/// <param name="SkippedKey">One of those.</param>
internal sealed record RootState(IReadOnlyList<RootRecord> Records, int Skipped, string? SkippedKey);
