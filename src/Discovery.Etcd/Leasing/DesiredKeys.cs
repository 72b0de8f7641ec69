namespace Discovery.Etcd.Leasing;

/// <summary>What a keeper's user desires to stand in etcd, the leases it stands on, and how far etcd is from it. Thread-safe.</summary>
internal sealed class DesiredKeys
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, DesiredKey> _keys = new(StringComparer.Ordinal);
    private readonly HashSet<DesiredKey> _busy = [];
    private readonly List<(long Generation, TaskCompletionSource Done)> _waiters = [];
    private readonly OwnLeases _leases = new();
    private long _generation;
    private Exception? _closed;

    /// <summary>Set when there may be work.</summary>
    public Signal Changed { get; } = new();

    /// <summary>How many keys should stand.</summary>
    public int Desired
    {
        get
        {
            lock (_gate)
            {
                return _keys.Values.Count(k => k.Value is not null);
            }
        }
    }

    /// <summary>How many of them do.</summary>
    public int Stored
    {
        get
        {
            lock (_gate)
            {
                return _keys.Values.Count(k => k is { Value: not null, State: KeyState.InLine });
            }
        }
    }

    /// <summary>Grows with every change of what is desired.</summary>
    public long Generation
    {
        get
        {
            lock (_gate)
            {
                return _generation;
            }
        }
    }

    /// <summary>The leases that are, or were, ours, newest first.</summary>
    public IReadOnlyList<long> LeaseIds
    {
        get
        {
            lock (_gate)
            {
                return _leases.Ids;
            }
        }
    }

    public IReadOnlyList<DesiredKey> All
    {
        get
        {
            lock (_gate)
            {
                return [.. _keys.Values];
            }
        }
    }

    public void Put(string name, byte[] value)
    {
        lock (_gate)
        {
            if (!_keys.TryGetValue(name, out var key))
            {
                _keys.Add(name, key = new DesiredKey(name, _leases));
            }

            key.Desire(value, ++_generation);
        }

        Changed.Set();
    }

    public void Update(string name, byte[] value)
    {
        lock (_gate)
        {
            _keys.GetValueOrDefault(name)?.Update(value, ++_generation);
        }

        Changed.Set();
    }

    public void Remove(string name, byte[]? last = null)
    {
        lock (_gate)
        {
            _keys.GetValueOrDefault(name)?.Remove(++_generation, last);
        }

        Changed.Set();
    }

    public void HandOver(string name)
    {
        lock (_gate)
        {
            _keys.GetValueOrDefault(name)?.HandOver(++_generation);
        }

        Changed.Set();
    }

    /// <summary>Waits until nothing of what is desired now is pending.</summary>
    public Task FlushAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_closed is not null)
            {
                return Task.FromException(_closed);
            }

            var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.Add((_generation, waiter));
            ReleaseWaitersLockHeld();
            return waiter.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Takes the keys that can be brought in line now and that nobody works on.</summary>
    public IReadOnlyList<DesiredKey> TakePending()
    {
        lock (_gate)
        {
            var pending = _keys.Values.Where(k => !_busy.Contains(k) && (IsToForget(k) || k.NextStep() is not null)).ToList();
            _busy.UnionWith(pending);
            return pending;
        }
    }

    /// <summary>The work on a key ended, well or not.</summary>
    /// <returns>Whether the key is gone, as desired, and forgotten.</returns>
    public bool Release(DesiredKey key)
    {
        bool isGone;
        lock (_gate)
        {
            _busy.Remove(key);
            isGone = IsToForget(key) && _keys.Remove(key.Name);
            ReleaseWaitersLockHeld();
        }

        Changed.Set();
        return isGone;
    }

    /// <summary>What to do next for a key.</summary>
    public KeyStep? NextStep(DesiredKey key)
    {
        lock (_gate)
        {
            return key.NextStep();
        }
    }

    /// <summary>Makes one transition of a key's state.</summary>
    public T Apply<T>(DesiredKey key, Func<DesiredKey, T> transition)
    {
        T result;
        lock (_gate)
        {
            result = transition(key);
            if (key.State != KeyState.Pending)
            {
                ReleaseWaitersLockHeld();
            }
        }

        Changed.Set();
        return result;
    }

    /// <summary>A lease was granted: all keys are to be put on it.</summary>
    public void LeaseGranted(HeldLease lease)
    {
        lock (_gate)
        {
            _leases.Granted(lease);
            foreach (var key in _keys.Values)
            {
                key.LeaseGranted();
            }
        }

        Changed.Set();
    }

    /// <summary>etcd may have lost its data. Nothing is put on the lease before etcd was asked for it, which costs less than a write that is refused.</summary>
    public void DoubtLease()
    {
        lock (_gate)
        {
            _leases.Current?.Doubt();
        }
    }

    /// <summary>etcd was asked for the lease, and did not say that it is gone.</summary>
    public void TrustLease(HeldLease lease)
    {
        lock (_gate)
        {
            if (!lease.IsInDoubt)
            {
                return;
            }

            lease.Trust();
        }

        Changed.Set();
    }

    /// <summary>A lease is lost, and with it all keys on it. Does nothing when it is not held any more.</summary>
    public void LeaseLost(HeldLease lease)
    {
        lock (_gate)
        {
            EndLockHeld(lease);
        }

        Changed.Set();
    }

    /// <summary>Gives up the lease if no key is desired, nor to have a last value. From then on it is not used for any put.</summary>
    /// <returns>Whether it is given up, and to be revoked.</returns>
    public bool TryRetire(HeldLease lease)
    {
        lock (_gate)
        {
            if (_keys.Values.Any(k => k.Value is not null || k.IsLeaving))
            {
                return false;
            }

            lease.Retire();
            EndLockHeld(lease);
            return true;
        }
    }

    /// <summary>
    /// Finds the lease to revoke in order to remove one key, if nothing else that is desired hangs on it. When it is the present lease, it is
    /// given up.
    /// </summary>
    public bool TryRetireLeaseOf(DesiredKey removed, out long leaseId, out HeldLease? retired)
    {
        lock (_gate)
        {
            leaseId = removed.KnownLeaseId;
            var id = leaseId;
            retired = _leases.Current is { } current && current.Id == id ? current : null;
            var isPresent = retired is not null;
            if (!_leases.Contains(id) || _keys.Values.Any(k => k != removed && (k.Value is not null || k.IsLeaving) && (isPresent || k.KnownLeaseId == id)))
            {
                return false;
            }

            if (retired is not null)
            {
                retired.Retire();
                EndLockHeld(retired);
            }

            return true;
        }
    }

    /// <summary>Lets nobody wait any longer.</summary>
    public void Close(Exception reason)
    {
        lock (_gate)
        {
            _closed = reason;
            foreach (var (_, done) in _waiters)
            {
                done.TrySetException(reason);

                // Who waited may have gone meanwhile; then nobody else looks at the exception.
                _ = done.Task.Exception;
            }

            _waiters.Clear();
        }
    }

    private static bool IsToForget(DesiredKey key) => key is { Value: null, State: KeyState.InLine, IsShared: false };

    private void EndLockHeld(HeldLease lease)
    {
        if (_leases.Ended(lease))
        {
            foreach (var key in _keys.Values)
            {
                key.LeaseLost();
            }
        }
    }

    private void ReleaseWaitersLockHeld()
    {
        if (_waiters.Count == 0)
        {
            return;
        }

        var firstPending = _keys.Values.Where(k => k.State == KeyState.Pending).Select(k => k.Generation).DefaultIfEmpty(long.MaxValue).Min();
        foreach (var (_, done) in _waiters.Where(w => w.Generation < firstPending))
        {
            done.TrySetResult();
        }

        _waiters.RemoveAll(w => w.Generation < firstPending);
    }
}
