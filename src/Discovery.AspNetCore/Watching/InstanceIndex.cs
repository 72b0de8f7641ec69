using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text.Unicode;
using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// The records under one prefix, and the instances they make: one for each address, whatever number of keys lead there. Used by one
/// loop only; what it hands out is immutable. A change costs work for the records it touches, not for the size of the service.
/// </summary>
internal sealed class InstanceIndex(string serviceName, IServiceLayout layout)
{
    /// <summary>So many records are read by one processor at a time; fewer are not worth the distribution.</summary>
    private const int RecordsOfPart = 250;

    /// <summary>What stands under each key, by <see cref="KeyOf"/>; there are no instances where the record is none.</summary>
    private readonly Dictionary<string, Entry> _byKey = new(StringComparer.Ordinal);

    /// <summary>The keys of those addresses that several keys lead to.</summary>
    private readonly Dictionary<string, List<string>> _shared = new(StringComparer.Ordinal);

    // A list builds the tree in place; a version of it for each record would take longer than to read the record.
    private readonly ImmutableDictionary<string, ServiceInstance>.Builder _instances =
        ImmutableDictionary.CreateBuilder<string, ServiceInstance>(StringComparer.Ordinal);

    /// <summary>The instances, by address, as they stand now; the same object until one of them changes.</summary>
    public ImmutableDictionary<string, ServiceInstance> Instances => _instances.ToImmutable();

    /// <summary>The instances whose addresses vanished since this was last emptied, as they were.</summary>
    public List<ServiceInstance> Vanished { get; } = [];

    /// <summary>The addresses that appeared since this was last emptied.</summary>
    public List<string> Appeared { get; } = [];

    /// <summary>Whether there are no records.</summary>
    public bool IsEmpty => _byKey.Count == 0;

    /// <summary>The addresses at which anything changed since this was last emptied; some may come more than once.</summary>
    public List<string> Changed { get; } = [];

    /// <summary>How many records are no instances.</summary>
    public int Skipped { get; private set; }

    /// <summary>All records, as etcd has them.</summary>
    public IEnumerable<EtcdKeyValue> Records => _byKey.Values.Select(static e => e.Record);

    /// <summary>What tells the key of a record from all others: its text, or its bytes where they are no text, for different ones may decode to the same.</summary>
    public static string KeyOf(EtcdKeyValue record)
        => Utf8.IsValid(record.KeyBytes.Span) ? record.Key : $"\0{Convert.ToHexString(record.KeyBytes.Span)}";

    /// <summary>Makes room for records, which is cheaper at once.</summary>
    public void EnsureRoom(int records) => _byKey.EnsureCapacity(_byKey.Count + records);

    /// <summary>Applies a record that an event brought, unless a newer one is known.</summary>
    /// <returns>Why the record is no instance, or <see langword="null"/> when it is one.</returns>
    public string? Put(EtcdKeyValue record)
    {
        var key = KeyOf(record);
        return _byKey.TryGetValue(key, out var known) && known.Record.ModRevision >= record.ModRevision ? null : Set(key, record, known, Read(record));
    }

    /// <summary>
    /// Applies records of a list, which all processors read together if they are many. The list is the truth: after a restore, an older record
    /// stands where a newer one stood, or another one of the same revision.
    /// </summary>
    /// <param name="records">The records, none of them of the same key as another.</param>
    /// <param name="onSkipped">Learns of each record that is no instance, and why.</param>
    public void PutListed(IReadOnlyList<EtcdKeyValue> records, Action<EtcdKeyValue, string> onSkipped)
    {
        var readings = new Reading?[records.Count];
        void ReadPart(int from, int to)
        {
            for (var i = from; i < to; i++)
            {
                readings[i] = _byKey.TryGetValue(KeyOf(records[i]), out var known) && AreSameWithLease(known.Record, records[i]) ? null : Read(records[i]);
            }
        }

        if (records.Count <= RecordsOfPart)
        {
            ReadPart(0, records.Count);
        }
        else
        {
            Parallel.ForEach(Partitioner.Create(0, records.Count, RecordsOfPart), part => ReadPart(part.Item1, part.Item2));
        }

        for (var i = 0; i < readings.Length; i++)
        {
            if (readings[i] is not { } reading)
            {
                continue;
            }

            var key = KeyOf(records[i]);
            if (Set(key, records[i], _byKey.GetValueOrDefault(key), reading) is { } problem)
            {
                onSkipped(records[i], problem);
            }
        }
    }

    /// <summary>Whether exactly these records are known, apart from some keys.</summary>
    public bool Has(IReadOnlyCollection<EtcdKeyValue> records, IReadOnlySet<string> except)
    {
        var listed = 0;
        foreach (var record in records)
        {
            var key = KeyOf(record);
            if (except.Contains(key))
            {
                continue;
            }

            if (!_byKey.TryGetValue(key, out var known) || !AreSame(known.Record, record))
            {
                return false;
            }

            listed++;
        }

        return listed == _byKey.Count - except.Count(_byKey.ContainsKey);
    }

    /// <summary>Removes a key, as <see cref="KeyOf"/> gives it.</summary>
    public void Remove(string key)
    {
        if (_byKey.Remove(key, out var known))
        {
            Forget(key, known, replacedBy: null);
        }
    }

    /// <summary>The keys that are known and not among those given.</summary>
    public List<string> KeysOtherThan(IReadOnlySet<string> keys) => [.. _byKey.Keys.Where(key => !keys.Contains(key))];

    private static bool AreSame(EtcdKeyValue one, EtcdKeyValue other)
        => one.ModRevision == other.ModRevision && one.Value.Span.SequenceEqual(other.Value.Span);

    /// <summary>A record from disk has no lease. Until a list brings it, any change of the record looks like another process's.</summary>
    private static bool AreSameWithLease(EtcdKeyValue one, EtcdKeyValue other) => one.LeaseId == other.LeaseId && AreSame(one, other);

    /// <returns>Why the record is no instance, or <see langword="null"/> when it is one.</returns>
    private string? Set(string key, EtcdKeyValue record, Entry? known, Reading reading)
    {
        var entry = new Entry(record, reading.Instances);
        Forget(key, known, replacedBy: entry);
        _byKey[key] = entry;
        if (reading.Instances.Count == 0)
        {
            Skipped++;
            return reading.Problem;
        }

        foreach (var instance in reading.Instances)
        {
            Add(key, instance);
        }

        return null;
    }

    private Reading Read(EtcdKeyValue record)
    {
        if (!Utf8.IsValid(record.KeyBytes.Span))
        {
            return new Reading([], "the key is no UTF-8");
        }

        try
        {
            return layout.TryReadAll(serviceName, record, out var found, out var problem) && found.Count > 0
                ? new Reading([.. found.DistinctBy(static i => i.Address).Select(i => i with { LeaseId = record.LeaseId })], null)
                : new Reading([], problem);
        }
        catch (Exception e)
        {
            // The layout may be the application's own. Its fault costs this record only.
            return new Reading([], $"the layout {layout.Name} failed: {ForeignText.ShowValue(e.Message)}");
        }
    }

    private void Add(string key, ServiceInstance instance)
    {
        var address = instance.Address;
        if (!_instances.TryGetValue(address, out var present))
        {
            Appeared.Add(address);
        }
        else if (present.Key != key)
        {
            if (!_shared.TryGetValue(address, out var keys))
            {
                _shared[address] = keys = [present.Key];
            }

            keys.Add(key);
            if (RecordPrecedence.Of(present).CompareTo(RecordPrecedence.Of(instance)) > 0)
            {
                return;
            }
        }

        Changed.Add(address);
        _instances[address] = instance;
    }

    private void Forget(string key, Entry? known, Entry? replacedBy)
    {
        if (known is null)
        {
            return;
        }

        if (known.Instances.Count == 0)
        {
            Skipped--;
        }

        foreach (var instance in known.Instances)
        {
            Forget(key, instance, replacedBy);
        }
    }

    private void Forget(string key, ServiceInstance instance, Entry? replacedBy)
    {
        var address = instance.Address;
        if (_shared.TryGetValue(address, out var keys))
        {
            keys.Remove(key);
            if (keys.Count == 1)
            {
                _shared.Remove(address);
            }

            // The address stays.
            Changed.Add(address);
            _instances[address] = keys.Select(k => _byKey[k].At(address)!).MaxBy(RecordPrecedence.Of)!;
        }
        else if (replacedBy?.At(address) is null)
        {
            Changed.Add(address);
            _instances.Remove(address);
            Vanished.Add(instance);
        }
    }

    /// <summary>What a record says.</summary>
    /// <param name="Instances">The instances, none if the record is no instance.</param>
    /// <param name="Problem">Why it is none, if the layout says so.</param>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Reading(IReadOnlyList<ServiceInstance> Instances, string? Problem);

    private sealed record Entry(EtcdKeyValue Record, IReadOnlyList<ServiceInstance> Instances)
    {
        public ServiceInstance? At(string address)
        {
            foreach (var instance in Instances)
            {
                if (instance.Address == address)
                {
                    return instance;
                }
            }

            return null;
        }
    }
}
