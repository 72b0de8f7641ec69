using Discovery.Etcd.Auth;
using Discovery.Etcd.Calls;
using Discovery.Etcd.Connections;
using Discovery.Etcd.KeyValues;
using Discovery.Etcd.Protocol;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Watching;

/// <summary>Keeps one stream open for all watches of a client, for as long as there are any: whatever ends it, another one follows.</summary>
internal sealed partial class WatchHub : IAsyncDisposable
{
    private readonly WatchTable _table = new();
    private readonly EtcdClientOptions _options;
    private readonly EndpointPool _pool;
    private readonly TokenSource _tokens;
    private readonly LatestRevision _mark;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly WatchJudge _judge;
    private readonly CancellationTokenSource _shutdown;
    private readonly Lock _startGate = new();
    private Task? _loop;
    private volatile WatchStream? _stream;

    public WatchHub(
        EtcdClientOptions options, EndpointPool pool, TokenSource tokens, KV.KVClient stub, LatestRevision mark, TimeProvider time, ILogger logger,
        CancellationToken shutdown)
    {
        _shutdown = CancellationTokenSource.CreateLinkedTokenSource(shutdown);
        _options = options;
        _pool = pool;
        _tokens = tokens;
        _mark = mark;
        _time = time;
        _logger = logger;
        _judge = new WatchJudge(_table, stub, time, logger, _shutdown.Token);
        tokens.Invalidated += OnTokenInvalidated;
    }

    public EtcdWatch Add(string name, KeyRange range, long startRevision, ulong clusterId)
    {
        var entry = _table.Add(name, range, startRevision, clusterId);
        lock (_startGate)
        {
            _loop ??= _shutdown.IsCancellationRequested ? Task.CompletedTask : Task.Run(RunAsync);
        }

        _stream?.Pump();
        return new EtcdWatch(this, entry);
    }

    public void Restart(WatchEntry entry, long startRevision, ulong clusterId)
    {
        lock (_table.Gate)
        {
            ObjectDisposedException.ThrowIf(entry.Phase == WatchPhase.Closed, typeof(EtcdWatch));
            if (entry.Phase != WatchPhase.Idle)
            {
                throw new InvalidOperationException("A watch is restarted after it said to list again, and only then.");
            }

            entry.Restart(startRevision, clusterId);
            _table.Changed.Set();
        }

        _stream?.Pump();
    }

    public void Remove(WatchEntry entry)
    {
        lock (_table.Gate)
        {
            _stream?.CancelLockHeld(entry);
            _table.RemoveLockHeld(entry);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _tokens.Invalidated -= OnTokenInvalidated;
        await _shutdown.CancelAsync();
        _table.Close();
        Task? loop;
        lock (_startGate)
        {
            loop = _loop;
        }

        await (loop ?? Task.CompletedTask);
        _shutdown.Dispose();
    }

    private async Task RunAsync()
    {
        var failures = 0;
        EtcdEndpoint? last = null;
        while (!_shutdown.IsCancellationRequested)
        {
            try
            {
                await WaitForWorkAsync();
                var (endpoint, end, worked) = await RunStreamAsync(last);
                failures = worked ? 1 : failures + 1;
                last = endpoint;
                Interrupt(endpoint, end);
                if (failures > 1)
                {
                    await PauseAsync(failures - 1);
                }
            }
            catch (Exception) when (_shutdown.IsCancellationRequested)
            {
                return;
            }
            catch (EtcdException e)
            {
                // No token could be had: the same failure that all other operations report.
                InterruptAll(e);
                await PauseAsync(++failures);
            }
            catch (Exception e)
            {
                // A mistake of ours must not end all watches of the process for good.
                Log.Unexpected(_logger, e);
                InterruptAll(new EtcdException($"The watch stream failed: {e.Message}", new Status(StatusCode.Internal, e.Message, e), OperationNames.Watch, []));
                await PauseAsync(++failures);
            }
        }
    }

    private async Task WaitForWorkAsync()
    {
        while (true)
        {
            var change = _table.Changed.Next;
            if (_table.NeedsStream)
            {
                return;
            }

            await change.WaitAsync(_shutdown.Token);
        }
    }

    // A stream that ended at once did not work, even if it answered: else two members that do so would be tried in a tight circle.
    private async Task<(EtcdEndpoint Endpoint, CallFailedException End, bool Worked)> RunStreamAsync(EtcdEndpoint? last)
    {
        var token = await _tokens.GetAsync(_shutdown.Token);
        var endpoint = _pool.Choose([], CallKind.Stream);
        using var stream = new WatchStream(_table, _judge, endpoint, token, _mark, _options.AttemptTimeout, _time);
        var started = _time.GetTimestamp();
        _stream = stream;
        try
        {
            var end = await stream.RunAsync(_shutdown.Token);
            if (end.WantsNewToken)
            {
                _tokens.Invalidate(token);
            }
            else if (end.IsTransient && !_shutdown.IsCancellationRequested)
            {
                endpoint.StreamHealth.Failed();
            }

            return (endpoint, end, stream.WasHeard && _time.GetElapsedTime(started) > WatchTimes.Settled);
        }
        finally
        {
            _stream = null;
        }
    }

    private void Interrupt(EtcdEndpoint endpoint, CallFailedException end)
    {
        if (!_shutdown.IsCancellationRequested)
        {
            if (_table.NeedsStream)
            {
                Log.StreamEnded(_logger, endpoint.Name, end.Detail);
            }

            InterruptAll(EtcdErrors.StreamEnded(OperationNames.Watch, endpoint.Name, end, _options));
        }
    }

    private void InterruptAll(EtcdException error)
    {
        lock (_table.Gate)
        {
            foreach (var entry in _table.AllLockHeld().Where(e => e.Phase is not (WatchPhase.Idle or WatchPhase.Closed)))
            {
                entry.Phase = WatchPhase.Waiting;
                entry.Interrupt(error);
            }
        }
    }

    private async Task PauseAsync(int failures) => await Task
        .Delay(Jitter.Spread(Jitter.Grow(WatchTimes.FirstReopenPause, failures, WatchTimes.LongestReopenPause)), _time, _shutdown.Token)
        .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    // A live stream is not given the new token by anybody; creates on it would be refused.
    private void OnTokenInvalidated() =>
        _stream?.End(CallFailedException.Planned("the token was renewed"));

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The watch stream at {Endpoint} ended: {Reason}. It is opened again.")]
        public static partial void StreamEnded(ILogger logger, string endpoint, string reason);

        [LoggerMessage(2, LogLevel.Error, "The watch stream failed unexpectedly. It is opened again.")]
        public static partial void Unexpected(ILogger logger, Exception exception);
    }
}
