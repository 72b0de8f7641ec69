using System.Text;
using Discovery.AspNetCore.Diagnostics;
using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// The state of one service as etcd reported it: applies lists and events, and publishes a snapshot whenever the instances differ. Used
/// by one loop; only what it publishes, and the two numbers others may read, are shared.
/// </summary>
internal sealed partial class ServiceState(
    string serviceName, IServiceLayout layout, TimeSpan holdDuration, SnapshotFeed feed, TimeProvider time, ILogger logger, ServiceMetrics? metrics = null)
{
    /// <summary>How many keys that are no instances are logged; a prefix full of them must not flood the log.</summary>
    private const int MaxLoggedKeys = 100;

    private const int MaxProblemLength = 200;

    private static long _lastId;

    private readonly HeldInstances _held = new(holdDuration, time);
    private readonly LogLimit _holdLines = new(time);
    private readonly HashSet<string> _loggedKeys = new(StringComparer.Ordinal);
    private readonly string _prefix = layout.GetPrefix(serviceName);
    private InstanceIndex _index = new(serviceName, layout);
    private HashSet<string>? _touched;
    private long _revision;
    private long _publishedId;
    private int _skipped;

    /// <summary>The revision up to which everything was seen; 0 before the first list. May be read by any thread.</summary>
    public long Revision => Interlocked.Read(ref _revision);

    /// <summary>How many records are no instances. May be read by any thread.</summary>
    public int SkippedRecords => Volatile.Read(ref _skipped);

    public ulong ClusterId { get; private set; }

    /// <summary>How long until held instances are released next; null when none are held.</summary>
    public TimeSpan? NextRelease => _held.NextRelease;

    /// <summary>All records as etcd has them.</summary>
    public EtcdListing ToListing() => new() { Items = [.. _index.Records], Revision = _revision, ClusterId = ClusterId };

    /// <summary>Begins to remember what events touch, because a list is under way that may be older or newer than they.</summary>
    public void BeginTracking() => _touched = new HashSet<string>(StringComparer.Ordinal);

    /// <summary>The list is done with.</summary>
    public void EndTracking() => _touched = null;

    /// <summary>Whether a list says what is known, as far as events did not touch it since <see cref="BeginTracking"/>.</summary>
    public bool AgreesWith(EtcdListing listing) => _index.Has(listing.Items, _touched ?? []);

    /// <summary>Whether etcd's history goes on from a revision, as far as can be told. A proxy may leave the cluster's id out.</summary>
    public bool Continues(EtcdListing listing, long revision)
        => listing.Revision >= revision && (ClusterId == 0 || listing.ClusterId == 0 || ClusterId == listing.ClusterId);

    /// <summary>Takes a list as the truth.</summary>
    /// <param name="listing">The list.</param>
    /// <param name="reason">Why it was made.</param>
    /// <param name="ahead">What of it was read before, if any was and nothing else is known yet.</param>
    public void Apply(EtcdListing listing, ServiceChangeReason reason, ReadAhead? ahead = null)
    {
        if (!Continues(listing, _revision))
        {
            Log.HistoryChanged(logger, serviceName, _revision, listing.Revision);
        }

        if (_index.IsEmpty)
        {
            Begin(listing, ahead);
        }
        else
        {
            Replace(listing);
        }

        ClusterId = listing.ClusterId;
        Interlocked.Exchange(ref _revision, listing.Revision);
        Volatile.Write(ref _skipped, _index.Skipped);

        // By what was published, not by what was known: a change before this may have failed half-way.
        if (feed.Current is not { } current || !ReferenceEquals(current.Present, _index.Instances) || IsUnconfirmed(current.Reason))
        {
            Publish(reason);
        }
    }

    /// <summary>Takes the events of one revision. Those that a list contained already are left out.</summary>
    public void Apply(EtcdWatchUpdate update)
    {
        var before = _index.Instances;
        foreach (var change in update.Events)
        {
            if (change.Record.ModRevision <= _revision)
            {
                continue;
            }

            var key = InstanceIndex.KeyOf(change.Record);
            _touched?.Add(key);

            if (change.Deleted)
            {
                _index.Remove(key);
            }
            else
            {
                LogIfSkipped(change.Record, _index.Put(change.Record));
            }
        }

        Advance(update.Revision);
        Volatile.Write(ref _skipped, _index.Skipped);
        if (!ReferenceEquals(before, _index.Instances))
        {
            Publish(ServiceChangeReason.Watched);
        }
    }

    /// <summary>Nothing happened up to a revision.</summary>
    public void Advance(long revision)
    {
        if (revision > _revision)
        {
            Interlocked.Exchange(ref _revision, revision);
        }
    }

    /// <summary>Releases instances that were held long enough.</summary>
    public void ReleaseHeld()
    {
        if (_held.NextRelease == TimeSpan.Zero)
        {
            Publish(ServiceChangeReason.HoldEnded);
        }
    }

    private void Begin(EtcdListing listing, ReadAhead? ahead)
    {
        if (ahead is not null)
        {
            _index = ahead.Index;
            foreach (var (record, problem) in ahead.Skipped)
            {
                LogIfSkipped(record, problem);
            }
        }

        var known = ahead?.Count ?? 0;
        _index.EnsureRoom(listing.Items.Count - known);
        _index.PutListed(known == 0 ? listing.Items : [.. listing.Items.Skip(known)], LogIfSkipped);
    }

    private void Replace(EtcdListing listing)
    {
        var listed = listing.Items.Select(InstanceIndex.KeyOf).ToHashSet(StringComparer.Ordinal);
        foreach (var key in _index.KeysOtherThan(listed))
        {
            _index.Remove(key);
        }

        _index.PutListed(listing.Items, LogIfSkipped);
    }

    /// <summary>Whether what was published did not come from the cluster, which a list of the same content makes it do.</summary>
    private static bool IsUnconfirmed(ServiceChangeReason reason)
        => reason is ServiceChangeReason.ReadFromDisk or ServiceChangeReason.ListedWithoutQuorum;

    private void LogIfSkipped(EtcdKeyValue record, string? problem)
    {
        if (problem is null || _loggedKeys.Count >= MaxLoggedKeys || !_loggedKeys.Add(record.Key))
        {
            return;
        }

        // A layout may be the application's own, and its words may quote the record.
        Log.RecordSkipped(
            logger,
            ForeignText.ShowKey(record.Key, _prefix),
            ForeignText.ShowValue(problem, MaxProblemLength),
            ForeignText.ShowValue(Encoding.UTF8.GetString(record.Value.Span)));
        if (_loggedKeys.Count == MaxLoggedKeys)
        {
            Log.MoreSkipped(logger, MaxLoggedKeys, ForeignText.Show(serviceName));
        }
    }

    private void Publish(ServiceChangeReason reason)
    {
        var heldBefore = _held.ByAddress.Count;
        _held.Update(_index.Vanished, _index.Appeared, _index.Instances);
        _index.Vanished.Clear();
        _index.Appeared.Clear();
        var change = _publishedId == 0 ? null : new SnapshotChange(_publishedId, [.. _index.Changed, .. _held.Changed]);
        _index.Changed.Clear();
        _held.Changed.Clear();
        if (change is null)
        {
            // The first list had all of them.
            _index.Changed.TrimExcess();
        }

        LogHold(heldBefore, _held.ByAddress.Count);
        var snapshot = new ServiceSnapshot(serviceName, _index.Instances, _held.ByAddress)
        {
            Prefix = _prefix,
            Revision = _revision,
            Reason = reason,
            PublishedAt = time.GetUtcNow(),
            Id = _publishedId = Interlocked.Increment(ref _lastId),
            Change = change,
        };
        Log.Published(logger, serviceName, snapshot.Count, _revision, reason);
        metrics?.OnPublished(reason);
        feed.Publish(snapshot);
    }

    private void LogHold(int before, int now)
    {
        if (before == now || (before > now && now > 0) || !_holdLines.Allows(logger, serviceName))
        {
            return;
        }

        if (before == 0)
        {
            // In a format without a draining state, a service that is scaled down looks the same, and is no cause for alarm.
            var level = layout.SupportsDraining ? LogLevel.Error : LogLevel.Information;
            Log.Held(logger, level, now, serviceName, _prefix, _index.Instances.Count, holdDuration);
        }
        else if (now > before)
        {
            // One alarm is enough for leases that end one after another.
            Log.MoreHeld(logger, serviceName, now, _index.Instances.Count);
        }
        else
        {
            Log.HoldEnded(logger, serviceName);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2101, LogLevel.Debug, "Service '{Service}' has {Count} instances at revision {Revision} ({Reason}).")]
        public static partial void Published(ILogger logger, string service, int count, long revision, ServiceChangeReason reason);

        [LoggerMessage(2102, LogLevel.Warning, "The record {Key} is no instance and is skipped: {Problem}. Its value begins: {Value}")]
        public static partial void RecordSkipped(ILogger logger, string key, string problem, string value);

        [LoggerMessage(2107, LogLevel.Warning, "{Count} records that are no instances were logged for service '{Service}'; others are only counted "
            + "(IServiceDirectory.GetStatus, SkippedRecords).")]
        public static partial void MoreSkipped(ILogger logger, int count, string service);

        [LoggerMessage(EventId = 2103, Message = "{Count} instances of service '{Service}' vanished at once from '{Prefix}' without draining ({Left} "
            + "are left). They are still called for up to {Duration}: check what happened to their keys and leases.")]
        public static partial void Held(ILogger logger, LogLevel level, int count, string service, string prefix, int left, TimeSpan duration);

        [LoggerMessage(2104, LogLevel.Information, "More instances of service '{Service}' vanished: {Count} are held now ({Left} are left).")]
        public static partial void MoreHeld(ILogger logger, string service, int count, int left);

        [LoggerMessage(2105, LogLevel.Information, "No instance of service '{Service}' is held any longer.")]
        public static partial void HoldEnded(ILogger logger, string service);

        [LoggerMessage(2106, LogLevel.Warning, "etcd's history changed under service '{Service}' (revision {Before}, now {Now}): restored from "
            + "a backup, wiped, or another cluster. Its list is taken as the truth.")]
        public static partial void HistoryChanged(ILogger logger, string service, long before, long now);
    }
}
