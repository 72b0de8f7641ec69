using Discovery.Etcd.Connections;
using Discovery.Etcd.Diagnostics;
using Discovery.Etcd.KeyValues;
using Discovery.Etcd.Protocol;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Watching;

/// <summary>
/// Keeps one stream open for all watches of a client, for as long as there are any: whatever ends it, another one follows. All that happens
/// goes through one event loop: calls of users, responses, ticks, renewed tokens, results of reads.
/// </summary>
internal sealed partial class WatchMultiplexer : IAsyncDisposable
{
    // Responses that were read and not handled yet. The connection's flow control holds back the rest.
    private const int MaxUnhandled = 64;

    private readonly WatchConnector _connector;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly EtcdMetrics _metrics;
    private readonly CancellationTokenSource _shutdown;
    private readonly EventLoop _loop;
    private readonly WatchDiagnosis _diagnosis;
    private readonly ReopenPolicy _policy;
    private readonly StreamOutage _outage;
    private readonly UnreadBudget _unread = new();
    private readonly HashSet<WatchSubscription> _watches = [];
    private WatchStream? _stream;
    private ITimer? _ticks;
    private EtcdEndpoint? _lastEndpoint;
    private bool _isOpening;
    private bool _isClosed;

    public WatchMultiplexer(WatchConnector connector, EtcdOutage outage, EtcdMetrics metrics, TimeProvider time, ILogger logger, CancellationToken shutdown)
    {
        _connector = connector;
        _time = time;
        _logger = logger;
        _metrics = metrics;
        _shutdown = CancellationTokenSource.CreateLinkedTokenSource(shutdown);
        _loop = new EventLoop(OnUnexpected);
        _diagnosis = new WatchDiagnosis(connector, _loop, End, time, logger, _shutdown.Token);
        _policy = new ReopenPolicy(connector.AttemptTimeout);
        _outage = new StreamOutage(outage, time, logger);
        connector.TokenInvalidated += OnTokenInvalidated;
        connector.ClusterReplaced += OnClusterReplaced;
    }

    private bool NeedsStream => !_isClosed && _watches.Any(w => w.NeedsStream);

    /// <summary>Starts a watch.</summary>
    /// <exception cref="ObjectDisposedException">The client was disposed.</exception>
    public EtcdWatch Add(string name, KeyRange range, long startRevision, ulong clusterId) => Add(new WatchTarget(name, range), startRevision, clusterId);

    /// <inheritdoc cref="Add(string, KeyRange, long, ulong)" />
    public EtcdWatch Add(WatchTarget target, long startRevision, ulong clusterId)
    {
        var watch = new WatchSubscription(target, startRevision, clusterId, _unread);
        ObjectDisposedException.ThrowIf(!_loop.Post(() => Added(watch)), typeof(EtcdClient));
        return new EtcdWatch(this, watch);
    }

    /// <summary>Continues a watch whose reader listed again.</summary>
    /// <returns>Whether there is anything to continue; not once the client was disposed.</returns>
    public bool Restart(WatchSubscription watch, long startRevision, ulong clusterId) => _loop.Post(() => Restarted(watch, startRevision, clusterId));

    /// <summary>Ends a watch.</summary>
    public void Remove(WatchSubscription watch)
    {
        watch.Updates.Complete();
        _loop.Post(() => Removed(watch));
    }

    public async ValueTask DisposeAsync()
    {
        _connector.TokenInvalidated -= OnTokenInvalidated;
        _connector.ClusterReplaced -= OnClusterReplaced;
        await _shutdown.CancelAsync().ConfigureAwait(false);
        _loop.Post(Close);
        _loop.Complete();
        await _loop.Completion.ConfigureAwait(false);
        _shutdown.Dispose();
    }

    // From here on all runs on the event loop, but for what is async and what ends in "Async".
    private void Added(WatchSubscription watch)
    {
        if (_isClosed)
        {
            watch.Close();
            return;
        }

        if (!NeedsStream)
        {
            _outage.Forget();
        }

        _watches.Add(watch);
        _stream?.Add(watch);
        Continue();
    }

    private void Restarted(WatchSubscription watch, long startRevision, ulong clusterId)
    {
        watch.Restarted(startRevision, clusterId);
        _stream?.Add(watch);
        Continue();
    }

    private void Removed(WatchSubscription watch)
    {
        _stream?.Cancel(watch);
        watch.Close();
        _watches.Remove(watch);
        if (_watches.Count == 0)
        {
            _outage.Forget();
        }
    }

    private void Close()
    {
        _isClosed = true;
        if (_stream is not null)
        {
            End(_stream, StreamEnd.Planned("the client was disposed"));
        }

        foreach (var watch in _watches)
        {
            watch.Close();
        }

        _watches.Clear();
    }

    // Sends what is due, and sees to it that there is a stream while watches need one.
    private void Continue()
    {
        if (_stream is not null)
        {
            _stream.SendNext();
        }
        else if (!_isOpening && NeedsStream)
        {
            _isOpening = true;
            _ = PrepareAsync(_policy.Pause);
        }
    }

    private async Task PrepareAsync(TimeSpan pause)
    {
        try
        {
            await Task.Delay(pause, _time, _shutdown.Token).ConfigureAwait(false);
            var token = await _connector.GetTokenAsync(_shutdown.Token).ConfigureAwait(false);
            _loop.Post(() => Open(token));
        }
        catch (Exception) when (_shutdown.IsCancellationRequested)
        {
            // The client was disposed.
        }
        catch (EtcdException e)
        {
            _loop.Post(() => OnNoToken(e));
        }
        catch (Exception e)
        {
            _loop.Post(() => OnUnexpected(e));
        }
    }

    private void Open(string? token)
    {
        _isOpening = false;
        if (!NeedsStream)
        {
            return;
        }

        _lastEndpoint = _connector.Choose();
        var stream = new WatchStream(_connector.Open(_lastEndpoint, token), _connector, _diagnosis, _policy.OpenLimit, _time);
        _stream = stream;
        foreach (var watch in _watches.Where(w => w.NeedsStream))
        {
            stream.Add(watch);
        }

        stream.SendNext();
        _ = ReadAsync(stream);
        _ticks = _time.CreateTimer(_ => _loop.Post(() => Tick(stream)), null, WatchTimings.Tick, WatchTimings.Tick);
    }

    private async Task ReadAsync(WatchStream stream)
    {
        // Not disposed here: responses may still be handled after the last one was read.
        var room = new SemaphoreSlim(MaxUnhandled);
        try
        {
            while (await stream.Call.ReadAsync().ConfigureAwait(false) is { } response)
            {
                await room.WaitAsync().ConfigureAwait(false);
                if (!_loop.Run(() => Handle(stream, response, room)))
                {
                    return;
                }
            }

            _loop.Post(() => End(stream, stream.Call.End!));
        }
        catch (Exception e)
        {
            _loop.Post(() => End(stream, StreamEnd.Failed(stream.Endpoint, e)));
        }
    }

    private void Handle(WatchStream stream, WatchResponse response, SemaphoreSlim room)
    {
        room.Release();
        if (stream == _stream)
        {
            stream.Handle(response);
            LimitUnread();
        }
    }

    private void Tick(WatchStream stream)
    {
        if (stream != _stream)
        {
            return;
        }

        if (_watches.Count == 0)
        {
            End(stream, StreamEnd.Planned("nothing is watched any more"));
        }
        else if (stream.Tick() is { } end)
        {
            End(stream, end);
        }
        else
        {
            if (IsSettled(stream))
            {
                _policy.Settled();
                stream.Call.Endpoint.StreamHealth.Succeeded();
                _outage.Over(stream.Endpoint, stream.OpenedAt!.Value);
            }

            LimitUnread();
            ReplaceOld(stream);
        }
    }

    // A stream that ended at once did not work, even if it answered: else two members that do so would be tried in a tight circle.
    private bool IsSettled(WatchStream stream) => stream.OpenedAt is { } at && _time.GetElapsedTime(at) >= WatchTimings.Settled;

    // Ends a stream that has lived long enough, or whose token is stale, so that another one begins. Nobody is told.
    private void ReplaceOld(WatchStream stream)
    {
        if (stream is { IsOld: true, HasStaleToken: true })
        {
            // Where nobody else renewed the token meanwhile, this does.
            _connector.InvalidateToken(stream.Call.Token);
            End(stream, StreamEnd.Planned("its token is not valid any more"));
        }
        else if (_connector.IsReturnDue(stream.Call.Endpoint))
        {
            End(stream, StreamEnd.Planned("it returns to the endpoint that it fled from"));
        }
        else if (stream.IsOld && _connector.HasOneEndpoint)
        {
            // Several members may stand behind it.
            End(stream, StreamEnd.Planned("connections are spread over the members"), replacesConnection: true);
        }
    }

    private void LimitUnread()
    {
        while (_unread.FindExcess(_watches, out var mustDrop) is { } watch)
        {
            _stream?.Cancel(watch);
            _diagnosis.Unread(watch, mustDrop);
        }
    }

    private void End(WatchStream stream, StreamEnd end) => End(stream, end, replacesConnection: false);

    private void End(WatchStream stream, StreamEnd end, bool replacesConnection)
    {
        if (stream != _stream)
        {
            return;
        }

        _stream = null;
        _ticks?.Dispose();
        _policy.Ended(end.Kind, IsSettled(stream));
        var outcome = end.Kind == StreamEndKind.Silent ? CallOutcome.Silent : stream.OpenedAt is null ? CallOutcome.Unknown : CallOutcome.Answered;
        stream.Close(outcome, replacesConnection || (_connector.HasOneEndpoint && _policy.WantsFreshConnection));
        if (end.Kind == StreamEndKind.TokenInvalid || (end.Kind == StreamEndKind.Silent && _policy.WantsFreshToken))
        {
            _connector.InvalidateToken(stream.Call.Token);
        }
        else if (end.Kind != StreamEndKind.Planned)
        {
            stream.Call.Endpoint.StreamHealth.Failed();
        }

        if (end.Error is null)
        {
            Log.StreamReplaced(_logger, stream.Endpoint, end.Detail);
            foreach (var watch in _watches)
            {
                watch.StreamReplaced();
            }
        }
        else
        {
            Fail(stream.Endpoint, end.Detail, end.Error);
        }

        if (NeedsStream)
        {
            _metrics.OnReopen(stream.Call.Endpoint.Address, end.Reason);
        }

        Continue();
    }

    // Tells all watches that there is no stream.
    private void Fail(string endpoint, string reason, EtcdException error)
    {
        var isLasting = NeedsStream && _outage.Failed(endpoint, reason);
        foreach (var watch in _watches)
        {
            watch.StreamFailed(error);
            if (isLasting)
            {
                watch.StreamUnavailable(error);
            }
        }

        LimitUnread();
    }

    // No token could be had: the same failure that all other operations report.
    private void OnNoToken(EtcdException error)
    {
        var isOutage = error.StatusCode is StatusCode.Unavailable or StatusCode.DeadlineExceeded;
        _isOpening = false;
        _policy.Ended(isOutage ? StreamEndKind.Broken : StreamEndKind.Rejected, wasOpen: false);
        Fail(string.Join(", ", error.Endpoints), error.Message, error);
        Continue();
    }

    // A live stream is not given the new token by anybody; creates on it would be refused.
    private void OnTokenInvalidated() => _loop.Post(() =>
    {
        if (_stream is not null)
        {
            End(_stream, StreamEnd.Planned("the token was renewed"));
        }
    });

    // The stream may be the one that found it out.
    private void OnClusterReplaced(ulong clusterId) => _loop.Post(() =>
    {
        if (_stream is { } stream && stream.ClusterId != clusterId)
        {
            End(stream, StreamEnd.Planned("another cluster answers"));
        }
    });

    // A mistake of ours must not end all watches of the process for good.
    private void OnUnexpected(Exception failure)
    {
        Log.Unexpected(_logger, failure);
        _isOpening = false;
        var end = StreamEnd.Failed(_lastEndpoint?.Name ?? "no endpoint", failure);
        if (_stream is not null)
        {
            End(_stream, end);
        }
        else
        {
            _policy.Ended(end.Kind, wasOpen: false);
            Fail(_lastEndpoint?.Name ?? "no endpoint", end.Detail, end.Error!);
            Continue();
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1203, LogLevel.Error, "The watch stream failed unexpectedly. It is opened again.")]
        public static partial void Unexpected(ILogger logger, Exception exception);

        [LoggerMessage(1204, LogLevel.Debug, "The watch stream at {Endpoint} was ended: {Reason}.")]
        public static partial void StreamReplaced(ILogger logger, string endpoint, string reason);
    }
}
