using Discovery.Etcd.Calls;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.Etcd.Watching;

/// <summary>
/// One stream at one endpoint, carrying all watches. Creates are sent one at a time: a refusal does not say which of them it answers, and
/// a proxy gives watches ids of its own.
/// </summary>
internal sealed class WatchStream : IDisposable
{
    private readonly WatchTable _table;
    private readonly WatchJudge _judge;
    private readonly LatestRevision _mark;
    private readonly TimeProvider _time;
    private readonly TimeSpan _openLimit;
    private readonly EtcdConnection _connection;
    private readonly DuplexCall<WatchRequest, WatchResponse> _call;
    private readonly CancellationTokenSource _ended = new();
    private CallFailedException? _end;
    private WatchEntry? _creating;
    private bool _asked;
    private long _heardAt;
    private bool _endsSilently;
    private bool _isProxied;
    private long _markNow;
    private long _markBefore;

    public WatchStream(WatchTable table, WatchJudge judge, EtcdEndpoint endpoint, string? token, LatestRevision mark, TimeSpan openLimit, TimeProvider time)
    {
        _table = table;
        _judge = judge;
        _mark = mark;
        _time = time;
        _openLimit = openLimit;
        Endpoint = endpoint;
        _heardAt = time.GetTimestamp();
        _connection = endpoint.Streams.Rent();
        _call = new(new Protocol.Watch.WatchClient(_connection.Invoker).Watch(CallHeaders.OfStream(token)));
    }

    public EtcdEndpoint Endpoint { get; }

    /// <summary>Whether the server ever answered.</summary>
    public bool WasHeard { get; private set; }

    /// <summary>Carries the watches until the stream ends.</summary>
    /// <returns>Why it ended.</returns>
    public async Task<CallFailedException> RunAsync(CancellationToken cancellationToken)
    {
        using var registration = cancellationToken.Register(() => End(CallFailedException.Planned("the client was disposed")));
        using var timer = _time.CreateTimer(_ => Tick(), null, WatchTimes.Tick, WatchTimes.Tick);
        Pump();
        try
        {
            while (await _call.ReadAsync(_ended.Token) is { } response)
            {
                Handle(response);
            }

            End(new CallFailedException(StatusCode.Unavailable, "etcd ended the stream", CallFailureKind.Connection));
        }
        catch (CallFailedException e)
        {
            End(e);
        }
        catch (OperationCanceledException)
        {
            // Ended by ourselves; why stands in _end. Cancellations that the HTTP stack makes up have become failures before they get here.
        }

        return _end!;
    }

    /// <summary>Ends the stream.</summary>
    public void End(CallFailedException reason)
    {
        if (Interlocked.CompareExchange(ref _end, reason, null) is null)
        {
            try
            {
                _ended.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // The stream broke by itself in the same moment. Timers and other callers must not be hit by that.
            }
        }
    }

    /// <summary>Sends the next create request, if one is due and none is on its way.</summary>
    public void Pump()
    {
        lock (_table.Gate)
        {
            // An ended stream must take no entry any more: nobody would put it back.
            if (_end is not null || _creating is not null || _table.NextDueLockHeld(_time.GetTimestamp()) is not { } entry)
            {
                return;
            }

            _creating = entry;
            entry.Phase = WatchPhase.Creating;
            if (!_asked)
            {
                _heardAt = _time.GetTimestamp();
            }

            SendCreateLockHeld(entry);
        }
    }

    /// <summary>Cancels an open watch at the server. One that is being created is cancelled when its answer comes.</summary>
    public void CancelLockHeld(WatchEntry entry)
    {
        if (entry.Phase == WatchPhase.Open)
        {
            CancelAtServer(entry.ServerId);
        }
    }

    public void Dispose()
    {
        _call.Dispose();
        if (_endsSilently)
        {
            Endpoint.Streams.Replace(_connection);
        }

        Endpoint.Streams.Return(_connection, CallOutcome.Unknown);
        _ended.Dispose();
    }

    private void Handle(WatchResponse response)
    {
        response.Header ??= new ResponseHeader();
        var behind = false;
        lock (_table.Gate)
        {
            WasHeard = true;
            _asked = false;
            _heardAt = _time.GetTimestamp();
            if (response.Created)
            {
                HandleCreatedLockHeld(response);
            }
            else if (response.WatchId == -1 && !response.Canceled)
            {
                behind = IsBehindLockHeld(response.Header.Revision);
                TellAliveLockHeld();
            }
            else if (_table.FindOpenLockHeld(response.WatchId) is { } entry)
            {
                HandleNewsLockHeld(entry, response);
            }
        }

        if (behind)
        {
            End(new CallFailedException(StatusCode.Unavailable, "the member is cut off: it lags behind the cluster", CallFailureKind.Status));
            return;
        }

        Pump();
    }

    // A member may lag for a moment. One that has not got to where the cluster was at the question before this one is cut off, and
    // answers as if nothing happened; "require leader" catches most of these, not all.
    private bool IsBehindLockHeld(long revision) => revision != 0 && revision < Math.Min(_markBefore, _mark.Revision);

    private void HandleCreatedLockHeld(WatchResponse response)
    {
        var entry = _creating;
        _creating = null;
        if (entry is null || entry.Phase == WatchPhase.Closed)
        {
            // Disposed meanwhile, or the sign of life of a proxy.
            if (!response.Canceled)
            {
                CancelAtServer(response.WatchId);
            }

            TellAliveLockHeld();
        }
        else if (response.Canceled)
        {
            _judge.RefusedLockHeld(this, entry, response.CancelReason);
        }
        else if (_judge.IsSameClusterLockHeld(this, entry, response.Header))
        {
            var seen = entry.Next - 1;
            entry.Open(response);
            _judge.CheckReaderLockHeld(this, entry);
            _isProxied |= entry.ServerId != entry.RequestedId;
            if (response.Header.Revision < seen || WatchJudge.IsEarlier(response.Header.RaftTerm, entry.Term))
            {
                _judge.BehindLockHeld(this, entry, seen);
            }
        }
        else
        {
            CancelAtServer(response.WatchId);
        }
    }

    private void HandleNewsLockHeld(WatchEntry entry, WatchResponse response)
    {
        if (response.CompactRevision != 0)
        {
            _judge.CompactedLockHeld(this, entry, response.CompactRevision);
        }
        else if (response.Canceled)
        {
            _judge.RefusedLockHeld(this, entry, response.CancelReason);
        }
        else
        {
            entry.Accept(response);
            _judge.CheckReaderLockHeld(this, entry);
        }
    }

    private void TellAliveLockHeld()
    {
        foreach (var entry in OpenLockHeld())
        {
            entry.Alive();
            _judge.CheckReaderLockHeld(this, entry);
        }
    }

    private void AskLockHeld()
    {
        (_markBefore, _markNow) = (_markNow, _mark.Revision);
        if (!_isProxied)
        {
            _asked = true;
            _call.Send(new WatchRequest { ProgressRequest = new WatchProgressRequest() });
        }
        else if (_creating is null && OpenLockHeld().FirstOrDefault() is { } entry)
        {
            // The grpc-proxy of etcd 3.4 does not answer progress requests. One watch more, cancelled at once, is answered by everybody.
            _asked = true;
            _creating = new WatchEntry(entry.Prefix, entry.Range, entry.Next, entry.ClusterId) { Phase = WatchPhase.Closed };
            SendCreateLockHeld(_creating);
        }
    }

    private IEnumerable<WatchEntry> OpenLockHeld() => _table.AllLockHeld().Where(e => e.Phase == WatchPhase.Open);

    private void SendCreateLockHeld(WatchEntry entry)
    {
        entry.RequestedId = _table.NextIdLockHeld();
        _call.Send(new WatchRequest
        {
            CreateRequest = new WatchCreateRequest
            {
                Key = entry.Range.Start,
                RangeEnd = entry.Range.End,
                StartRevision = entry.Next,
                WatchId = entry.RequestedId,
                ProgressNotify = true,
                Fragment = true,
            },
        });
    }

    private void CancelAtServer(long serverId) =>
        _call.Send(new WatchRequest { CancelRequest = new WatchCancelRequest { WatchId = serverId } });

    // The watchdog: a stream that is silent is asked for a sign of life, and given up when none comes.
    private void Tick()
    {
        CallFailedException? end = null;
        lock (_table.Gate)
        {
            var silence = _time.GetElapsedTime(_heardAt);
            var limit = WasHeard ? WatchTimes.AnswerLimit : _openLimit;
            if ((_creating is not null || _asked) && silence > (_asked ? WatchTimes.Silence + limit : limit))
            {
                _endsSilently = true;
                end = CallFailedException.Silent($"the watch stream gave no sign of life within {limit.TotalSeconds:0.###} s");
            }
            else if (_table.IsEmptyLockHeld)
            {
                end = CallFailedException.Planned("nothing is watched any more");
            }
            else if (!_asked && silence >= WatchTimes.Silence)
            {
                AskLockHeld();
            }
        }

        if (end is not null)
        {
            End(end);
        }
        else
        {
            Pump();
        }
    }
}
