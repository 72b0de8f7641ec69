namespace Discovery.Etcd.Leasing;

/// <summary>What a keeper's user wants to stand in etcd, and how far etcd is from it.</summary>
internal sealed class WantedKeys
{
    // Enough to know our own keys again after several losses in a row; older ones have long expired.
    private const int RememberedLeases = 8;

    private readonly Dictionary<string, WantedKey> _keys = new(StringComparer.Ordinal);
    private readonly List<(long Version, TaskCompletionSource Done)> _waiters = [];
    private readonly Queue<long> _leases = new();
    private long _version;
    private Exception? _closed;

    public Lock Gate { get; } = new();

    /// <summary>Set when there may be work.</summary>
    public Signal Changed { get; } = new();

    public int Wanted
    {
        get
        {
            lock (Gate)
            {
                return _keys.Values.Count(k => k.Value is not null);
            }
        }
    }

    public int Stored
    {
        get
        {
            lock (Gate)
            {
                return _keys.Values.Count(k => k.Value is not null && k.State == WantedState.Settled);
            }
        }
    }

    public void Put(string name, byte[] value)
    {
        lock (Gate)
        {
            if (!_keys.TryGetValue(name, out var key))
            {
                _keys.Add(name, key = new WantedKey(name));
            }

            key.Value = value;
            key.TakeOver = true;
            key.State = WantedState.Open;
            key.Version = ++_version;
        }

        Changed.Set();
    }

    public void Update(string name, byte[] value)
    {
        lock (Gate)
        {
            if (_keys.TryGetValue(name, out var key) && key.Value is not null)
            {
                // A put that has not arrived yet still takes the key over.
                key.Value = value;
                key.State = key.State == WantedState.Taken ? WantedState.Taken : WantedState.Open;
                key.Version = ++_version;
            }
        }

        Changed.Set();
    }

    public void Remove(string name)
    {
        lock (Gate)
        {
            if (_keys.TryGetValue(name, out var key))
            {
                // What we know of a key in other hands is their revision, and a deletion must not match it.
                key.Revision = key.State == WantedState.Taken ? 0 : key.Revision;
                key.Value = null;
                key.TakeOver = false;
                key.State = WantedState.Open;
                key.Version = ++_version;
            }
        }

        Changed.Set();
    }

    /// <summary>Waits until nothing of what is wanted now is open.</summary>
    public Task FlushAsync(CancellationToken cancellationToken)
    {
        lock (Gate)
        {
            if (_closed is not null)
            {
                return Task.FromException(_closed);
            }

            var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.Add((_version, waiter));
            ReleaseLockHeld();
            return waiter.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Takes the keys that need work and that nobody works on.</summary>
    public IReadOnlyList<WantedKey> TakeOpen()
    {
        lock (Gate)
        {
            var open = _keys.Values.Where(k => k.State == WantedState.Open && !k.IsBusy).ToList();
            open.ForEach(k => k.IsBusy = true);
            return open;
        }
    }

    /// <summary>The work on a key ended, well or not.</summary>
    public void Release(WantedKey key)
    {
        lock (Gate)
        {
            key.IsBusy = false;
            if (key is { Value: null, State: WantedState.Settled })
            {
                _keys.Remove(key.Key);
            }

            ReleaseLockHeld();
        }

        Changed.Set();
    }

    /// <summary>A new lease: all keys must be put on it.</summary>
    public void Reopen(long leaseId)
    {
        lock (Gate)
        {
            _leases.Enqueue(leaseId);
            if (_leases.Count > RememberedLeases)
            {
                _leases.Dequeue();
            }

            foreach (var key in _keys.Values.Where(k => k.State == WantedState.Settled))
            {
                key.State = WantedState.Open;
            }
        }

        Changed.Set();
    }

    /// <summary>Whether a lease is, or was, ours.</summary>
    public bool IsOurs(long leaseId)
    {
        lock (Gate)
        {
            return _leases.Contains(leaseId);
        }
    }

    /// <summary>The leases that are, or were, ours, newest first.</summary>
    public IReadOnlyList<long> Leases()
    {
        lock (Gate)
        {
            return [.. _leases.Reverse()];
        }
    }

    public IReadOnlyList<WantedKey> All()
    {
        lock (Gate)
        {
            return [.. _keys.Values];
        }
    }

    /// <summary>Lets nobody wait any longer.</summary>
    public void Close(Exception reason)
    {
        lock (Gate)
        {
            _closed = reason;
            _waiters.ForEach(w => w.Done.TrySetException(reason));
            _waiters.Clear();
        }
    }

    private void ReleaseLockHeld()
    {
        var firstOpen = _keys.Values.Where(k => k.State == WantedState.Open).Select(k => k.Version).DefaultIfEmpty(long.MaxValue).Min();
        foreach (var (_, done) in _waiters.Where(w => w.Version < firstOpen))
        {
            done.TrySetResult();
        }

        _waiters.RemoveAll(w => w.Version < firstOpen);
    }
}
