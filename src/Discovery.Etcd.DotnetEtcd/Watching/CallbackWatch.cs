using System.Diagnostics;
using Etcdserverpb;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.DotnetEtcd.Watching;

/// <summary>One watch that calls a callback, until it is stopped.</summary>
internal sealed partial class CallbackWatch(
    long id, WatchCreateRequest request, Action<WatchResponse> callback, EtcdWatch watch, MissedChanges missed, ILogger logger) : IDisposable
{
    // etcd's own.
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _stopped = new();
    private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationTokenSource? _end;
    private EtcdException? _lastError;
    private long _seen;
    private long _calledAt;
    private bool _isRefused;

    /// <summary>Completes when the watch is open for the first time; fails when etcd refuses it instead.</summary>
    public Task Opened => _opened.Task;

    /// <summary>Starts calling the callback, on the thread pool, one response after another.</summary>
    public void Start() => _ = Task.Run(RunAsync);

    /// <summary>Ends the watch after a time, or when a token is cancelled.</summary>
    public void EndWith(Action end, TimeSpan time, CancellationToken cancellationToken)
    {
        if (time == TimeSpan.MaxValue && !cancellationToken.CanBeCanceled)
        {
            return;
        }

        var source = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        if (time.TotalMilliseconds < int.MaxValue)
        {
            source.CancelAfter(time);
        }

        source.Token.Register(end);
        _end = source;
        if (_stopped.IsCancellationRequested)
        {
            source.Dispose();
        }
    }

    /// <summary>Ends the watch. No callback begins afterwards.</summary>
    public void Dispose()
    {
        _stopped.Cancel();
        _end?.Dispose();
        _ = watch.DisposeAsync().AsTask();
        _opened.TrySetException(new ObjectDisposedException(nameof(dotnet_etcd.interfaces.IWatchManager)));

        // Few wait for it.
        _ = _opened.Task.Exception;
    }

    /// <summary>What <see cref="Opened"/> was waited for in vain.</summary>
    public RpcException NotOpened(TimeSpan limit) => new(new Status(
        StatusCode.DeadlineExceeded,
        $"etcd did not open the watch within {limit.TotalSeconds:0.###} s. {_lastError?.Message}".TrimEnd(),
        _lastError));

    private async Task RunAsync()
    {
        try
        {
            await foreach (var update in watch.ReadAllAsync(_stopped.Token).ConfigureAwait(false))
            {
                await HandleAsync(update).ConfigureAwait(false);
            }

            // The EtcdClient was disposed.
            Dispose();
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // Stopped, or the EtcdClient was disposed.
            Dispose();
        }
    }

    private async Task HandleAsync(EtcdWatchUpdate update)
    {
        switch (update.Kind)
        {
            case EtcdWatchUpdateKind.Opened:
                _seen = update.Revision;
                _isRefused = false;
                _opened.TrySetResult();
                Call(WatchResponses.Created(id, update));
                break;
            case EtcdWatchUpdateKind.Changed:
                _seen = update.Revision;
                Call(WatchResponses.Changed(id, update));
                break;
            case EtcdWatchUpdateKind.Progress:
                Progressed(update);
                break;
            case EtcdWatchUpdateKind.Rejected when update.Error is { StatusCode: not (StatusCode.Unavailable or StatusCode.DeadlineExceeded) } error:
                Refused(update, error);
                break;
            case EtcdWatchUpdateKind.ListAgain:
                await CatchUpAsync(update).ConfigureAwait(false);
                break;
            default:
                // It opens again by itself, and etcd has no words for that.
                _lastError = update.Error;
                break;
        }
    }

    // We look for signs of life every few seconds; etcd's users expect progress now and then.
    private void Progressed(EtcdWatchUpdate update)
    {
        var isNews = update.Revision > _seen || Stopwatch.GetElapsedTime(_calledAt) >= ProgressInterval;
        _seen = update.Revision;
        if (request.ProgressNotify && isNews)
        {
            Call(WatchResponses.Progress(id, update));
        }
    }

    // Told once; it is tried on, and told as created when that succeeds.
    private void Refused(EtcdWatchUpdate update, EtcdException error)
    {
        if (!_opened.TrySetException(error) && !_isRefused)
        {
            _isRefused = true;
            Call(WatchResponses.Canceled(id, update));
        }
    }

    // The events in between cannot be had. The callback is told so in etcd's words, then what was put meanwhile and still exists.
    private async Task CatchUpAsync(EtcdWatchUpdate update)
    {
        Log.Missed(logger, id, request.Key.ToStringUtf8(), _seen, update.Error?.Message ?? "");
        Call(WatchResponses.Canceled(id, update));

        // After a restore, or from another cluster, revisions mean something else.
        var sameHistory = update.CompactRevision > 0 || update.Error?.StatusCode == StatusCode.ResourceExhausted;
        var (puts, revision, clusterId) = await ReadMissedAsync(sameHistory ? _seen + 1 : 0, update.CompactRevision).ConfigureAwait(false);
        _seen = revision;
        if (puts.Count > 0)
        {
            var response = new WatchResponse { WatchId = id, Header = new ResponseHeader { ClusterId = clusterId, Revision = revision } };
            response.Events.AddRange(puts);
            Call(response);
        }

        watch.Restart(revision + 1, clusterId);
    }

    private async Task<(IReadOnlyList<Mvccpb.Event> Puts, long Revision, ulong ClusterId)> ReadMissedAsync(long since, long compactRevision)
    {
        for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            try
            {
                return await missed.ReadAsync(since, compactRevision, _stopped.Token).ConfigureAwait(false);
            }
            catch (RpcException e)
            {
                Log.NotRead(logger, id, request.Key.ToStringUtf8(), e.Message);
            }

            await Task.Delay(pause * (0.5 + Random.Shared.NextDouble()), _stopped.Token).ConfigureAwait(false);
        }
    }

    private void Call(WatchResponse response)
    {
        if (_stopped.IsCancellationRequested)
        {
            return;
        }

        _calledAt = Stopwatch.GetTimestamp();
        try
        {
            callback(response);
        }
        catch (Exception e)
        {
            // A callback's mistake must not end the watch.
            Log.CallbackFailed(logger, id, request.Key.ToStringUtf8(), e);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1900, LogLevel.Warning, "Watch {Id} on '{Key}' missed changes after revision {Revision}. It goes on with what still exists; keys deleted meanwhile are not reported. {Reason}")]
        public static partial void Missed(ILogger logger, long id, string key, long revision, string reason);

        [LoggerMessage(1901, LogLevel.Warning, "Watch {Id} on '{Key}' cannot read yet what it missed, and tries again: {Reason}")]
        public static partial void NotRead(ILogger logger, long id, string key, string reason);

        [LoggerMessage(1902, LogLevel.Error, "The callback of watch {Id} on '{Key}' failed. The watch goes on.")]
        public static partial void CallbackFailed(ILogger logger, long id, string key, Exception exception);
    }
}
