using Discovery.Etcd.Calls;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;
using Google.Protobuf;

namespace Discovery.Etcd.Watching;

/// <summary>
/// One stream at one endpoint, carrying all watches. Creates are sent one at a time: a refusal does not say which of them it answers, and
/// a proxy gives watches ids of its own. Used on the event loop.
/// </summary>
internal sealed class WatchStream
{
    // Ids of ours start where no proxy's counter gets to, so the two are never mistaken for each other.
    private const long FirstId = 1L << 32;

    // A range without keys.
    private static readonly ByteString Nothing = ByteString.CopyFrom(1);

    private static long _lastId = FirstId;

    private readonly WatchCall _call;
    private readonly WatchConnector _connector;
    private readonly WatchDiagnosis _diagnosis;
    private readonly StreamWatchdog _watchdog;
    private readonly TimeProvider _time;
    private readonly Dictionary<long, WatchSubscription> _open = [];
    private readonly Queue<WatchSubscription> _waiting = new();
    private readonly List<WatchSubscription> _delayed = [];
    private PendingCreate? _pending;
    private bool _isProxied;
    private int _signsUnchecked;
    private bool _isClosed;
    private long _replaceAt;
    private long _latestRevision;
    private long _revisionBefore;

    public WatchStream(WatchCall call, WatchConnector connector, WatchDiagnosis diagnosis, TimeSpan openLimit, TimeProvider time)
    {
        _call = call;
        _connector = connector;
        _diagnosis = diagnosis;
        _watchdog = new StreamWatchdog(openLimit);
        _time = time;
        StartedAt = time.GetTimestamp();
        _replaceAt = After(Jitter.Spread(WatchTimings.Lifetime));
    }

    public WatchCall Call => _call;

    public string Endpoint => _call.Endpoint.Name;

    /// <summary>When it was opened, as a timestamp.</summary>
    public long StartedAt { get; }

    /// <summary>The cluster that answers; 0 before, and behind some proxies.</summary>
    public ulong ClusterId { get; private set; }

    /// <summary>When the server first answered, as a timestamp; <see langword="null"/> before.</summary>
    public long? OpenedAt { get; private set; }

    /// <summary>Whether the server does not take its token any more. Watches that are open stay open, others cannot be created.</summary>
    public bool HasStaleToken { get; private set; }

    /// <summary>Whether it has lived long enough.</summary>
    public bool IsOld => _time.GetTimestamp() >= _replaceAt;

    /// <summary>Takes a watch that is to be created.</summary>
    public void Add(WatchSubscription watch)
    {
        if (watch.RetryAt > _time.GetTimestamp())
        {
            _delayed.Add(watch);
        }
        else
        {
            _waiting.Enqueue(watch);
        }
    }

    /// <summary>Sends the next create request, if one is due and none is unanswered.</summary>
    public void SendNext()
    {
        if (_delayed.Count > 0)
        {
            var now = _time.GetTimestamp();
            _delayed.FindAll(w => w.RetryAt <= now).ForEach(_waiting.Enqueue);
            _delayed.RemoveAll(w => w.RetryAt <= now);
        }

        // A stream that ended must take no watch any more: nobody would put it back.
        while (!_isClosed && _pending is null && _waiting.TryDequeue(out var watch))
        {
            if (watch.Phase == WatchPhase.Waiting)
            {
                watch.Creating(SendCreate(watch, watch.Target.CreateRequest(watch.Next)));
            }
        }
    }

    /// <summary>Cancels an open watch at the server. One that is being created is cancelled when its answer comes.</summary>
    public void Cancel(WatchSubscription watch)
    {
        if (watch.Phase == WatchPhase.Open && _open.Remove(watch.ServerId))
        {
            SendCancel(watch.ServerId);
        }
    }

    /// <summary>Handles what the server sent.</summary>
    public void Handle(WatchResponse response)
    {
        response.Header ??= new ResponseHeader();
        OpenedAt ??= _time.GetTimestamp();
        ClusterId = response.Header.ClusterId;
        if (response.Created)
        {
            _watchdog.Answered();
            HandleCreated(response);
        }
        else
        {
            _watchdog.Heard();
            if (_open.TryGetValue(response.WatchId, out var watch))
            {
                HandleUpdate(watch, response);
            }
        }

        SendNext();
    }

    /// <summary>A tick passed: asks a silent server for a sign of life.</summary>
    /// <returns>Why the stream has to end, if it has to.</returns>
    public StreamEnd? Tick()
    {
        _watchdog.Tick();
        if (_watchdog.IsDead)
        {
            return StreamEnd.Silent(Endpoint, _watchdog.Limit);
        }

        if (_watchdog.WantsSignOfLife)
        {
            AskForSignOfLife();
        }

        SendNext();
        return null;
    }

    /// <summary>Ends it. Its watches are another stream's from here on.</summary>
    /// <param name="outcome">What it says of its connection.</param>
    /// <param name="replacesConnection">Whether the next stream dials anew.</param>
    public void Close(CallOutcome outcome, bool replacesConnection)
    {
        _isClosed = true;
        _call.Close(outcome, replacesConnection);
    }

    private void HandleCreated(WatchResponse response)
    {
        var watch = _pending?.Watch;
        var isSignOfLife = _pending is { Watch: null };
        _pending = null;
        if (watch is not { Phase: WatchPhase.Creating })
        {
            // Disposed meanwhile, or a sign of life.
            if (!response.Canceled)
            {
                SendCancel(response.WatchId);
            }

            if (isSignOfLife)
            {
                HandleSignOfLife(response);
            }
        }
        else if (response.CompactRevision != 0)
        {
            SendCancel(response.WatchId);
            _diagnosis.Compacted(this, watch, response.CompactRevision);
        }
        else if (response.Canceled)
        {
            _diagnosis.Refused(this, watch, response.CancelReason);
        }
        else if (!_diagnosis.IsSameCluster(this, watch, response.Header))
        {
            SendCancel(response.WatchId);
        }
        else
        {
            var seen = watch.Next - 1;
            watch.Opened(response);
            _open[watch.ServerId] = watch;
            _isProxied |= watch.ServerId != watch.RequestedId;
            if (response.Header.Revision < seen || WatchDiagnosis.IsEarlier(response.Header.RaftTerm, watch.Term))
            {
                _diagnosis.HistoryInDoubt(this, watch, seen);
            }
        }
    }

    private void HandleUpdate(WatchSubscription watch, WatchResponse response)
    {
        if (response.CompactRevision != 0)
        {
            Forget(watch);
            _diagnosis.Compacted(this, watch, response.CompactRevision);
        }
        else if (response.Canceled)
        {
            Forget(watch);
            _diagnosis.Refused(this, watch, response.CancelReason);
        }
        else
        {
            watch.Received(response);
        }
    }

    // etcd's proxy keeps a watch that etcd ended among those of its range until it is cancelled, and has the next one join them: nothing would come.
    private void Forget(WatchSubscription watch)
    {
        _open.Remove(watch.ServerId);
        SendCancel(watch.ServerId);
    }

    /// <summary>
    /// Asks for a watch on a range without keys, which etcd refuses at once, with its revision, and which costs it nothing. A progress request
    /// will not do: from 3.5 on it stays unanswered while any watch of the stream waits for a future revision, as all do in a quiet cluster.
    /// Behind etcd's proxy a whole watch is created, and cancelled: the proxy would look for an answer to the other among its own watches.
    /// </summary>
    private void AskForSignOfLife()
    {
        (_revisionBefore, _latestRevision) = (_latestRevision, _connector.LatestRevision);
        if (!_isProxied)
        {
            SendCreate(null, new WatchCreateRequest { Key = Nothing, RangeEnd = Nothing });
        }
        else if (_open.Values.FirstOrDefault() is { } watch)
        {
            SendCreate(null, watch.Target.CreateRequest(watch.Next));
        }
    }

    private void HandleSignOfLife(WatchResponse response)
    {
        if (!HasStaleToken && response.Canceled && EtcdMessages.IsTokenError(response.CancelReason))
        {
            HasStaleToken = true;
            _replaceAt = Math.Min(_replaceAt, After(WatchTimings.StaleTokenSpread * Random.Shared.NextDouble()));
        }

        foreach (var watch in _open.Values)
        {
            watch.StreamAlive();
        }

        // etcd's proxy answers itself, and holds the stream open while it looks for etcd: only a read shows that another history stands behind it.
        if (_isProxied && ++_signsUnchecked == WatchTimings.SignsOfProxy)
        {
            _signsUnchecked = 0;
            _diagnosis.ProxyInDoubt(this, [.. _open.Values]);
        }

        // A member may lag for a moment. One that has not got to where the cluster was at the question before this one is cut off, and
        // answers as if nothing happened; "require leader" catches most of these, not all.
        var expected = Math.Min(_revisionBefore, _connector.LatestRevision);
        if (response.Header.Revision != 0 && response.Header.Revision < expected && _open.Values.FirstOrDefault() is { } any)
        {
            _diagnosis.Lagging(this, any, response.Header.Revision, expected);
        }
    }

    private long SendCreate(WatchSubscription? watch, WatchCreateRequest request)
    {
        var id = Interlocked.Increment(ref _lastId);
        _pending = new PendingCreate(watch);
        _watchdog.Asked();
        request.WatchId = id;
        request.ProgressNotify = true;
        request.Fragment = true;
        _call.Send(new WatchRequest { CreateRequest = request });
        return id;
    }

    private void SendCancel(long serverId) =>
        _call.Send(new WatchRequest { CancelRequest = new WatchCancelRequest { WatchId = serverId } });

    private long After(TimeSpan delay) => _time.GetTimestamp() + (long)(delay.TotalSeconds * _time.TimestampFrequency);

    /// <summary>A create request that was not answered yet.</summary>
    /// <param name="Watch">What is created; <see langword="null"/> for a sign of life.</param>
    private sealed record PendingCreate(WatchSubscription? Watch);
}
