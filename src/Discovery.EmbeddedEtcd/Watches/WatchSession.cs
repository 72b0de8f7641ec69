using System.Threading.Channels;
using Discovery.EmbeddedEtcd.Contract;
using Discovery.EmbeddedEtcd.Store;
using Discovery.Etcd.Protocol;
using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Watches;

/// <summary>
/// The watchers of one gRPC stream and the order in which it sends: one queue, so that the answer to a create comes before the
/// watcher's first event, and the answer to a progress request after all events that it vouches for.
/// </summary>
internal sealed class WatchSession : IDisposable
{
    private const long NoId = -1;

    private static readonly ByteString SmallestKey = ByteString.CopyFrom(0);

    private readonly EtcdEngine _engine;
    private readonly TimeSpan _progressInterval;
    private readonly Dictionary<long, Watcher> _watchers = [];
    private readonly Queue<Outgoing> _outgoing = new();
    private readonly Channel<bool> _signal = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private ITimer? _progress;
    private long _nextId;

    public WatchSession(EtcdEngine engine, TimeSpan progressInterval)
    {
        _engine = engine;
        _progressInterval = progressInterval;
    }

    public void Handle(WatchRequest request)
    {
        lock (_engine.Gate)
        {
            switch (request.RequestUnionCase)
            {
                case WatchRequest.RequestUnionOneofCase.CreateRequest:
                    Create(request.CreateRequest);
                    break;
                case WatchRequest.RequestUnionOneofCase.CancelRequest:
                    Cancel(request.CancelRequest.WatchId);
                    break;
                case WatchRequest.RequestUnionOneofCase.ProgressRequest:
                    RequestProgress();
                    break;
                default:
                    break;
            }
        }
    }

    /// <summary>The next response to send, or <see langword="null"/> where there is none now.</summary>
    public WatchResponse? Next(out bool mayFragment)
    {
        lock (_engine.Gate)
        {
            mayFragment = false;
            while (_outgoing.TryDequeue(out var next))
            {
                if (next.Response is not null)
                {
                    return next.Response;
                }

                if (next.Watcher is null)
                {
                    if (_watchers.Values.All(w => w.IsSynced))
                    {
                        return new WatchResponse { Header = _engine.Header(), WatchId = NoId };
                    }

                    // Its revision would promise events that are still to come: behind them.
                    _outgoing.Enqueue(next);
                    continue;
                }

                next.Watcher.IsQueued = false;
                mayFragment = next.Watcher.WantsFragments;
                if (TakeFrom(next.Watcher) is { } response)
                {
                    return response;
                }
            }

            return null;
        }
    }

    /// <summary>Waits until there may be something to send.</summary>
    /// <exception cref="Exception">What <see cref="Fail"/> was given.</exception>
    public async ValueTask WaitAsync(CancellationToken cancellationToken)
    {
        await _signal.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false);
        _signal.Reader.TryRead(out _);
    }

    /// <summary>Ends the stream with an error.</summary>
    public void Fail(Exception error) => _signal.Writer.TryComplete(error);

    /// <summary>Takes a watcher into the queue. The gate is held.</summary>
    public void Enqueue(Watcher watcher)
    {
        if (!watcher.IsQueued)
        {
            watcher.IsQueued = true;
            Enqueue(new Outgoing(null, watcher));
        }
    }

    public void Dispose()
    {
        lock (_engine.Gate)
        {
            _progress?.Dispose();
            foreach (var watcher in _watchers.Values)
            {
                _engine.Watchers.Remove(watcher);
            }

            _watchers.Clear();
            _outgoing.Clear();
        }
    }

    private void Enqueue(Outgoing outgoing)
    {
        _outgoing.Enqueue(outgoing);
        _signal.Writer.TryWrite(true);
    }

    private WatchResponse? TakeFrom(Watcher watcher)
    {
        // A watcher that was cancelled while it waited here has nothing more to say.
        if (watcher.IsCompacted || !_watchers.TryGetValue(watcher.Id, out var current) || current != watcher)
        {
            return null;
        }

        var response = watcher.Next(_engine);
        if (watcher.IsCompacted)
        {
            _engine.Watchers.Remove(watcher);
        }
        else if (!watcher.IsSynced)
        {
            Enqueue(watcher);
        }

        return response;
    }

    private void Create(WatchCreateRequest request)
    {
        if (request.StartRevision < 0)
        {
            Refuse(ServerErrors.CompactedMessage);
            return;
        }

        var revision = _engine.Store.Revision;
        var range = KeyInterval.Of(request.Key.IsEmpty ? SmallestKey : request.Key, request.RangeEnd);
        var refusal = range.IsEmpty ? "mvcc: watcher range is empty"
            : request.WatchId != 0 && _watchers.ContainsKey(request.WatchId) ? "mvcc: duplicate watch ID provided on the WatchStream"
            : null;
        if (refusal is not null)
        {
            Refuse(refusal);
            return;
        }

        var start = request.StartRevision == 0 ? revision + 1 : request.StartRevision;
        var watcher = new Watcher(this, request.WatchId == 0 ? FreeId() : request.WatchId, request, range, start);
        _watchers.Add(watcher.Id, watcher);
        _engine.Watchers.Add(watcher);
        Reply(new WatchResponse { WatchId = watcher.Id, Created = true });
        if (start <= revision)
        {
            watcher.FallBehind(start);
        }

        if (watcher.WantsProgress)
        {
            _progress ??= _engine.TimeProvider.CreateTimer(static s => ((WatchSession)s!).ReportProgress(), this, _progressInterval, _progressInterval);
        }
    }

    private void Cancel(long id)
    {
        if (_watchers.Remove(id, out var watcher))
        {
            _engine.Watchers.Remove(watcher);
            Reply(new WatchResponse { WatchId = id, Canceled = true });
        }
    }

    // Without a watch, or with one that has no progress to tell, etcd does not answer at all.
    private void RequestProgress()
    {
        if (_watchers.Count > 0 && !_watchers.Values.Any(w => w.BlocksProgress(_engine.Store.Revision)))
        {
            Enqueue(Outgoing.Progress);
        }
    }

    private void Refuse(string reason) => Reply(new WatchResponse { WatchId = NoId, Created = true, Canceled = true, CancelReason = reason });

    private void Reply(WatchResponse response)
    {
        response.Header = _engine.Header();
        Enqueue(new Outgoing(response, null));
    }

    private long FreeId()
    {
        while (_watchers.ContainsKey(_nextId))
        {
            _nextId++;
        }

        return _nextId++;
    }

    private void ReportProgress()
    {
        lock (_engine.Gate)
        {
            foreach (var watcher in _watchers.Values.Where(w => w.WantsProgress))
            {
                if (!watcher.HasReported && watcher.IsSynced && !watcher.BlocksProgress(_engine.Store.Revision))
                {
                    Reply(new WatchResponse { WatchId = watcher.Id });
                }

                watcher.HasReported = false;
            }
        }
    }
}
