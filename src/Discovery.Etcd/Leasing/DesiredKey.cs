using System.Text;

namespace Discovery.Etcd.Leasing;

/// <summary>How a desired key stands in etcd.</summary>
internal enum KeyState
{
    /// <summary>etcd has to be brought in line, or it is not known whether it is.</summary>
    Pending,

    /// <summary>etcd holds what is desired: the value on our lease, or nothing.</summary>
    InLine,

    /// <summary>Another process owns the key. It is left alone until it is gone or our user puts it again.</summary>
    Conflict,
}

/// <summary>
/// One key that should stand in etcd, or should be gone: what is desired, what is known, and what follows from both. Answers and watch
/// events come in any order; the one with the later revision counts. Not thread-safe: used under the lock of its <see cref="DesiredKeys"/>.
/// </summary>
internal sealed class DesiredKey(string name, OwnLeases leases)
{
    // Of more replicas than this the earliest are forgotten.
    private const int RememberedPeers = 8;

    // The leases of others that held the key with our value, the latest last: who shares it with us.
    private readonly List<long> _peers = [];
    private EtcdKeyValue? _known;
    private byte[]? _handedOver;
    private byte[]? _last;
    private Takeover _takeover;
    private long _takeoverGeneration;

    // A put takes the key over from whoever holds it, once. Who holds it is read first: a record written after that belongs to a successor.
    private enum Takeover
    {
        /// <summary>The key is ours to repair, and to be left to anybody else who has it.</summary>
        None,

        /// <summary>The user put the key; who holds it has to be read.</summary>
        Requested,

        /// <summary>The known record, and only that one, is to be overwritten.</summary>
        Begun,
    }

    public string Name => name;

    /// <summary>The value that should stand; <see langword="null"/> for "gone".</summary>
    public byte[]? Value { get; private set; }

    /// <summary>Whether the key was handed over, and may be so to us again by one that does not know that we do not want it any more.</summary>
    public bool IsShared { get; private set; }

    /// <summary>Counts the requests for all keys, so that a wait can tell which came before it.</summary>
    public long Generation { get; private set; }

    public KeyState State { get; private set; }

    /// <summary>The revision of the cluster that our knowledge of the key is from; 0 while nothing is known.</summary>
    public long KnownAt { get; private set; }

    /// <summary>Why etcd does not let us read the key; <see langword="null"/> when it does, or when that is not known.</summary>
    public EtcdException? ReadError { get; private set; }

    /// <summary>Whether the key is to have a last value before it is deleted, for which its lease must live.</summary>
    public bool IsLeaving => Value is null && _last is not null && State == KeyState.Pending;

    /// <summary>The lease that the key is known to hang on; 0 for none, or when it is absent.</summary>
    public long KnownLeaseId => _known?.LeaseId ?? 0;

    /// <summary>Set when the user asks for something else, or a lease is granted: reasons not to wait with the next try.</summary>
    public Signal Requested { get; } = new();

    /// <summary>The user puts the key: it should have this value, whoever holds it now.</summary>
    public void Desire(byte[] value, long generation)
    {
        (_takeover, _takeoverGeneration) = (Takeover.Requested, generation);
        (IsShared, _handedOver, _last) = (false, null, null);
        ReadError = null;
        State = KeyState.Pending;
        Request(value, generation);
    }

    /// <summary>
    /// The user changes the value of a key that is desired. One in conflict stays with its owner; a takeover that is under way goes on.
    /// </summary>
    public void Update(byte[] value, long generation)
    {
        if (Value is null)
        {
            return;
        }

        if (State != KeyState.Conflict)
        {
            State = KeyState.Pending;
        }

        Request(value, generation);
    }

    /// <summary>The user leaves the key to others that desire the same value; it is removed when there are none.</summary>
    public void HandOver(long generation)
    {
        if (Value is not null)
        {
            (IsShared, _handedOver) = (true, Value);
            Remove(generation);
        }
    }

    /// <summary>The user removes the key.</summary>
    /// <param name="generation">The number of the request.</param>
    /// <param name="last">The value that it is to have before; null for none.</param>
    public void Remove(long generation, byte[]? last = null)
    {
        if (Value is null)
        {
            return;
        }

        (_takeover, _last) = (Takeover.None, last);
        State = KeyState.Pending;
        Request(null, generation);
    }

    /// <summary>A lease was granted; the key has to be put on it.</summary>
    public void LeaseGranted()
    {
        ReadError = null;
        Requested.Set();
    }

    /// <summary>The lease is lost, and with it what stood on it.</summary>
    public void LeaseLost() => State = State == KeyState.InLine ? Assess() : State;

    /// <summary>A read of the key, to be answered to <see cref="Observed"/>.</summary>
    public KeyStep ReadStep() => Step(KeyStepKind.Read, 0, null);

    /// <summary>What to do next; <see langword="null"/> when nothing is to be done, or nothing can be without a lease that is not in doubt.</summary>
    public KeyStep? NextStep()
    {
        if (State != KeyState.Pending)
        {
            return null;
        }

        if (Value is null)
        {
            // Deleting by another owner's revision would delete that owner's record.
            var own = _known is not null && leases.Contains(_known.LeaseId) ? _known.ModRevision : 0;
            if (own != 0 && _peers.Count > 0 && _handedOver is { } value && ReadError is null && _known!.Value.Span.SequenceEqual(value))
            {
                return Step(KeyStepKind.HandOver, own, null) with { Value = value, PeerLeaseId = _peers[^1] };
            }

            // What stands on a lease that is lost is gone, or will be.
            if (own != 0 && _last is { } last && leases.Current is { } current && current.Id == _known!.LeaseId && !_known.Value.Span.SequenceEqual(last))
            {
                return current.IsInDoubt ? null
                    : Step(ReadError is null ? KeyStepKind.Put : KeyStepKind.PutUnconditionally, own, current) with { Value = last };
            }

            return Step(ReadError is null ? KeyStepKind.Delete : KeyStepKind.DeleteUnconditionally, own, null);
        }

        if (leases.Current is not { IsInDoubt: false } lease)
        {
            return null;
        }

        var kind = ReadError is not null ? KeyStepKind.PutUnconditionally
            : _takeover == Takeover.Requested ? KeyStepKind.Read
            : KeyStepKind.Put;
        return Step(kind, _known?.ModRevision ?? 0, lease);
    }

    /// <summary>A step wrote or deleted the key.</summary>
    /// <param name="step">The step.</param>
    /// <param name="revision">The revision at which it did.</param>
    /// <returns>The record of another owner, when it is found in conflict by this.</returns>
    public EtcdKeyValue? Written(KeyStep step, long revision)
    {
        if (step.Takeover == _takeoverGeneration)
        {
            // Carried out, whatever happened to the key since: what stands there later belongs to a successor.
            _takeover = Takeover.None;
        }

        if (step.Kind is KeyStepKind.HandOver or KeyStepKind.Delete)
        {
            // Once: should it come back, it is deleted, so that two who do not want it do not hand it to and fro.
            _handedOver = null;
        }

        if (IsNews(step, revision))
        {
            KnownAt = revision;
            _known = step.Value is null
                ? null
                : new EtcdKeyValue
                {
                    KeyBytes = Encoding.UTF8.GetBytes(name),
                    Value = step.Value,
                    CreateRevision = 0,
                    ModRevision = revision,
                    Version = 0,
                    LeaseId = step.Lease?.Id ?? step.PeerLeaseId,
                };
        }

        return Conclude();
    }

    /// <summary>The key was seen: by a read, by a comparison that failed, or by the watch.</summary>
    /// <param name="record">The record; <see langword="null"/> when the key is absent.</param>
    /// <param name="at">The revision at which it stood so.</param>
    /// <param name="step">The step that asked; <see langword="null"/> for a watch event.</param>
    /// <returns>The record, when it is found in conflict by this.</returns>
    public EtcdKeyValue? Observed(EtcdKeyValue? record, long at, KeyStep? step = null)
    {
        if (step is not null)
        {
            ReadError = null;
        }

        if (IsNews(step, at))
        {
            if (_takeover == Takeover.Begun && !MayBeTakenOver(record))
            {
                _takeover = Takeover.None;
            }

            NotePeer(record);
            (_known, KnownAt) = (record, at);
        }

        if (step is { Kind: KeyStepKind.Read } && step.Takeover == _takeoverGeneration && _takeover == Takeover.Requested)
        {
            _takeover = Takeover.Begun;
        }

        if (_takeover == Takeover.Begun && _known is not null && leases.Contains(_known.LeaseId))
        {
            // It is ours already.
            _takeover = Takeover.None;
        }

        return Conclude();
    }

    /// <summary>etcd does not let us read the key, nor compare it: it can only be put and deleted unconditionally.</summary>
    public EtcdException? ReadDenied(EtcdException error) => ReadError = error;

    /// <summary>etcd does not let us write the key either: the next try begins with what is safe, a read or a comparison.</summary>
    public EtcdException? WriteDenied() => ReadError = null;

    /// <summary>etcd does not take the last value, so the key is deleted without it.</summary>
    public EtcdKeyValue? LastValueRefused()
    {
        _last = null;
        return null;
    }

    /// <summary>The key cannot be put on another's lease, most likely because that one is gone.</summary>
    public EtcdKeyValue? PeerGone(long leaseId)
    {
        _peers.Remove(leaseId);
        return null;
    }

    private void NotePeer(EtcdKeyValue? record)
    {
        if (record is null || leases.Contains(record.LeaseId))
        {
            if (record is null || _takeover == Takeover.None)
            {
                // Who deletes the key or hands it over to us does not want it any more.
                _peers.Remove(_known?.LeaseId ?? 0);
            }
        }
        else if (record.LeaseId != 0 && Value is not null && record.Value.Span.SequenceEqual(Value))
        {
            _peers.Remove(record.LeaseId);
            _peers.Add(record.LeaseId);
            _peers.RemoveRange(0, Math.Max(_peers.Count - RememberedPeers, 0));
        }
    }

    private void Request(byte[]? value, long generation)
    {
        (Value, Generation) = (value, generation);
        Requested.Set();
    }

    private KeyStep Step(KeyStepKind kind, long revision, HeldLease? lease) => new(kind, Value, revision, lease, _takeoverGeneration, KnownAt);

    private EtcdKeyValue? Conclude()
    {
        var before = State;
        State = Assess();
        return State == KeyState.Conflict && before != KeyState.Conflict ? _known : null;
    }

    private KeyState Assess()
    {
        if (_known is null)
        {
            return Value is null ? KeyState.InLine : KeyState.Pending;
        }

        if (!leases.Contains(_known.LeaseId))
        {
            return Value is null ? KeyState.InLine : _takeover == Takeover.None ? KeyState.Conflict : KeyState.Pending;
        }

        var isAsDesired = _takeover == Takeover.None && _known.LeaseId == leases.Current?.Id && Value is not null && _known.Value.Span.SequenceEqual(Value);
        return isAsDesired ? KeyState.InLine : KeyState.Pending;
    }

    // Our own write may have been carried out although its answer was lost, and another record may stand there since. That it was not shows
    // in the count of writes: the record's version follows directly on the one that we know. Then its owner only changed it meanwhile.
    private bool MayBeTakenOver(EtcdKeyValue? record) =>
        record is null
        || leases.Contains(record.LeaseId)
        || (_known is not null && record.CreateRevision == _known.CreateRevision && record.Version <= _known.Version + 1);

    // Where nothing else came in while we asked, the answer counts even with an earlier revision: then the cluster was restored from a backup.
    private bool IsNews(KeyStep? step, long at) => at > KnownAt || step?.KnownAt == KnownAt;
}
