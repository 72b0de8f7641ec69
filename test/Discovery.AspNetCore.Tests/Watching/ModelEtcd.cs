using System.Collections.Immutable;
using System.Threading.Channels;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Grpc.Core;

namespace Discovery.AspNetCore.Tests.Watching;

/// <summary>
/// An etcd in memory with faults on demand, behind the directory's seam: it promises what <see cref="EtcdClient"/> promises, and breaks
/// in the ways in which that one reports a break.
/// </summary>
internal sealed class ModelEtcd : IServiceSource
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<long, EtcdWatchEvent[]> _log = [];
    private readonly List<ModelWatch> _watches = [];
    private ImmutableSortedDictionary<string, EtcdKeyValue> _records = ImmutableSortedDictionary.Create<string, EtcdKeyValue>(StringComparer.Ordinal);
    private long _compacted;
    private bool _connected = true;
    private ulong _clusterId = 1;
    private int _failingLists;

    public string? Cluster { get; init; }

    public IReadOnlyList<Uri> Endpoints { get; set; } = [new Uri("http://model:2379")];

    public long Revision { get; private set; } = 1;

    /// <summary>Called under the lock with each new state: (revision, records).</summary>
    public Action<long, ImmutableSortedDictionary<string, EtcdKeyValue>>? Committed { get; set; }

    /// <summary>Whether unary calls fail as without a cluster.</summary>
    public bool IsDown { get; set; }

    /// <summary>The prefix whose lists fail.</summary>
    public string? FailingPrefix { get; set; }

    /// <summary>Whether there is no quorum: only serializable reads are answered.</summary>
    public bool HasNoQuorum { get; set; }

    /// <summary>What each list waits for after it was read, before it is answered.</summary>
    public Task? ListsWaitFor { get; set; }

    public int Lists { get; private set; }

    /// <summary>How many watches were begun in all.</summary>
    public int Watches { get; private set; }

    public int OpenWatches
    {
        get
        {
            lock (_gate)
            {
                return _watches.Count;
            }
        }
    }

    public static EtcdException Unavailable { get; } = new("the model is down", new Status(StatusCode.Unavailable, "the model is down"), "Range", ["http://model:2379"]);

    /// <summary>Puts (a value) and deletes (null) at one revision.</summary>
    /// <param name="isLost">Whether the watch does not see it, as with a bug of etcd's.</param>
    /// <param name="changes">The changes.</param>
    public void Commit(bool isLost, params IEnumerable<(string Key, byte[]? Value)> changes)
    {
        lock (_gate)
        {
            var events = new List<EtcdWatchEvent>();
            foreach (var (key, value) in changes.Where(c => c.Value is not null || _records.ContainsKey(c.Key)))
            {
                var record = new EtcdKeyValue
                {
                    KeyBytes = System.Text.Encoding.UTF8.GetBytes(key),
                    Value = value ?? [],
                    CreateRevision = Revision + 1,
                    ModRevision = Revision + 1,
                    Version = value is null ? 0 : 1,
                    LeaseId = 7,
                };
                _records = value is null ? _records.Remove(key) : _records.SetItem(key, record);
                events.Add(new EtcdWatchEvent { Deleted = value is null, Record = record });
            }

            if (events.Count > 0)
            {
                Revision++;
                _log[Revision] = isLost ? [] : [.. events];
                Committed?.Invoke(Revision, _records);
                Deliver();
            }
        }
    }

    public void Put(string key, byte[] value) => Commit(isLost: false, (key, value));

    public void Delete(params string[] keys) => Commit(isLost: false, keys.Select(k => (k, (byte[]?)null)));

    /// <summary>Fails the next lists.</summary>
    public void FailLists(int count)
    {
        lock (_gate)
        {
            _failingLists = count;
        }
    }

    public void Compact()
    {
        lock (_gate)
        {
            _compacted = Revision;
            _log.Clear();
        }
    }

    public void Disconnect()
    {
        lock (_gate)
        {
            _connected = false;
            _watches.ForEach(w => w.Interrupt());
        }
    }

    public void Connect()
    {
        lock (_gate)
        {
            _connected = true;
            Deliver();
        }
    }

    /// <summary>Repeats events that every watch has seen already.</summary>
    public void Repeat()
    {
        lock (_gate)
        {
            foreach (var (revision, events) in _log.TakeLast(3))
            {
                _watches.ForEach(w => w.Repeat(revision, events));
            }
        }
    }

    /// <summary>Tells the watches that nothing happened up to now.</summary>
    public void Progress()
    {
        lock (_gate)
        {
            if (_connected)
            {
                _watches.ForEach(static w => w.Progress());
            }
        }
    }

    /// <summary>Says once to the watches that are interrupted that no stream can be opened.</summary>
    public void SayUnavailable()
    {
        lock (_gate)
        {
            _watches.ForEach(static w => w.SayUnavailable());
        }
    }

    public void Reject()
    {
        lock (_gate)
        {
            _watches.ForEach(static w => w.Reject());
        }
    }

    /// <summary>Goes back to an older state, with its revision, as a restored backup does; or with a higher one, as another cluster.</summary>
    public void Restore(ImmutableSortedDictionary<string, EtcdKeyValue> records, long revision, bool asAnotherCluster)
    {
        lock (_gate)
        {
            // Within one cluster only a watch that has seen more than what is restored can tell that it is another history.
            if (!asAnotherCluster && !(_watches is [var watch] && watch.HasSeenMoreThan(revision)))
            {
                return;
            }

            Disconnect();
            _records = records;
            Revision = revision;
            _compacted = revision;
            _clusterId += asAnotherCluster ? 1UL : 0;
            _log.Clear();
            Committed?.Invoke(Revision, _records);
            Connect();
        }
    }

    public async Task<EtcdListing> ListAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken)
    {
        await Task.Yield();
        var listing = Read(prefix, consistency);
        await (ListsWaitFor?.WaitAsync(cancellationToken) ?? Task.CompletedTask);
        return listing;
    }

    public Task<EtcdException?> FindFailureAsync(TimeSpan limit, CancellationToken cancellationToken) => Task.FromResult(IsDown ? Unavailable : null);

    private EtcdListing Read(string prefix, EtcdReadConsistency consistency)
    {
        lock (_gate)
        {
            Lists++;
            if (IsDown || prefix == FailingPrefix || (HasNoQuorum && consistency == EtcdReadConsistency.Linearizable) || _failingLists > 0)
            {
                _failingLists = Math.Max(0, _failingLists - 1);
                throw Unavailable;
            }

            return new EtcdListing
            {
                Items = [.. _records.Values.Where(r => r.Key.StartsWith(prefix, StringComparison.Ordinal))],
                Revision = Revision,
                ClusterId = _clusterId,
            };
        }
    }

    public IServiceWatch Watch(string prefix, long startRevision, ulong clusterId)
    {
        lock (_gate)
        {
            var watch = new ModelWatch(this, prefix, startRevision, clusterId);
            _watches.Add(watch);
            Watches++;
            Deliver();
            return watch;
        }
    }

    private void Deliver()
    {
        if (_connected)
        {
            _watches.ForEach(static w => w.Advance());
        }
    }

    private sealed class ModelWatch(ModelEtcd etcd, string prefix, long next, ulong clusterId) : IServiceWatch
    {
        private readonly Channel<EtcdWatchUpdate> _updates = Channel.CreateUnbounded<EtcdWatchUpdate>();
        private long _next = next;
        private ulong _clusterId = clusterId;
        private bool _isIdle;
        private bool _isOpen;
        private bool _isUnavailable;

        public void Advance()
        {
            if (_isIdle)
            {
                return;
            }

            if (!_isOpen)
            {
                if (_clusterId != etcd._clusterId || _next - 1 > etcd.Revision || _next <= etcd._compacted)
                {
                    _isIdle = true;
                    Write(EtcdWatchUpdateKind.ListAgain, []);
                    return;
                }

                (_isOpen, _isUnavailable) = (true, false);
                Write(EtcdWatchUpdateKind.Opened, []);
            }

            for (; _next <= etcd.Revision; _next++)
            {
                if (etcd._log.GetValueOrDefault(_next) is { } all && Mine(all) is { Count: > 0 } events)
                {
                    _updates.Writer.TryWrite(new EtcdWatchUpdate { Kind = EtcdWatchUpdateKind.Changed, Revision = _next, Events = events });
                }
            }
        }

        public bool HasSeenMoreThan(long revision) => _isOpen && _next - 1 > revision;

        public void Interrupt()
        {
            if (!_isIdle && _isOpen)
            {
                _isOpen = false;
                Write(EtcdWatchUpdateKind.Interrupted, []);
            }
        }

        public void SayUnavailable()
        {
            if (!_isIdle && !_isOpen && !_isUnavailable)
            {
                _isUnavailable = true;
                Write(EtcdWatchUpdateKind.Unavailable, []);
            }
        }

        public void Reject()
        {
            if (!_isIdle)
            {
                _isOpen = false;
                Write(EtcdWatchUpdateKind.Rejected, []);
            }
        }

        public void Progress()
        {
            if (!_isIdle && _isOpen)
            {
                Write(EtcdWatchUpdateKind.Progress, []);
            }
        }

        public void Repeat(long revision, EtcdWatchEvent[] events)
        {
            if (_isOpen && revision < _next && Mine(events) is { Count: > 0 } mine)
            {
                _updates.Writer.TryWrite(new EtcdWatchUpdate { Kind = EtcdWatchUpdateKind.Changed, Revision = revision, Events = mine });
            }
        }

        public IAsyncEnumerable<EtcdWatchUpdate> ReadAllAsync(CancellationToken cancellationToken) => _updates.Reader.ReadAllAsync(cancellationToken);

        public void Restart(long startRevision, ulong cluster)
        {
            lock (etcd._gate)
            {
                if (!_isIdle)
                {
                    throw new InvalidOperationException("A watch is restarted after it said to list again, and only then.");
                }

                (_next, _clusterId, _isIdle, _isOpen, _isUnavailable) = (startRevision, cluster, false, false, false);
                etcd.Deliver();
            }
        }

        public ValueTask DisposeAsync()
        {
            lock (etcd._gate)
            {
                etcd._watches.Remove(this);
                _updates.Writer.TryComplete();
            }

            return ValueTask.CompletedTask;
        }

        private List<EtcdWatchEvent> Mine(EtcdWatchEvent[] events) => [.. events.Where(e => e.Record.Key.StartsWith(prefix, StringComparison.Ordinal))];

        private void Write(EtcdWatchUpdateKind kind, IReadOnlyList<EtcdWatchEvent> events)
            => _updates.Writer.TryWrite(new EtcdWatchUpdate
            {
                Kind = kind,
                Revision = _next - 1,
                Events = events,
                Error = kind == EtcdWatchUpdateKind.Opened ? null : Unavailable,
            });
    }
}
