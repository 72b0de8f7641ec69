using Discovery.EmbeddedEtcd.Store;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.Watches;

/// <summary>
/// One watch of one stream. Changes are handed to it as they happen, up to a limit; a watcher whose client reads slower than that
/// forgets them and reads the log later, so that it costs no memory. Guarded by the engine's gate.
/// </summary>
internal sealed class Watcher(WatchSession stream, long id, WatchCreateRequest request, KeyInterval range, long startRevision)
{
    /// <summary>The most changes that wait for a client; beyond it the log has to serve.</summary>
    private const int MostPending = 1024;

    private readonly bool _skipPuts = request.Filters.Contains(WatchCreateRequest.Types.FilterType.Noput);
    private readonly bool _skipDeletes = request.Filters.Contains(WatchCreateRequest.Types.FilterType.Nodelete);
    private readonly Queue<Change> _pending = new();

    // The revision to read the log from, or null where everything not yet sent is pending.
    private long? _behindFrom;

    public long Id => id;

    public KeyInterval Range => range;

    public bool WantsFragments => request.Fragment;

    public bool WantsProgress => request.ProgressNotify;

    /// <summary>Nothing waits to be sent: the watcher has seen all there is.</summary>
    public bool IsSynced => _behindFrom is null && _pending.Count == 0;

    /// <summary>It was told that its history is compacted, and gets nothing more.</summary>
    public bool IsCompacted { get; private set; }

    /// <summary>It was sent events since the last periodic progress, which spares it the next.</summary>
    public bool HasReported { get; set; }

    /// <summary>It stands in its stream's queue.</summary>
    public bool IsQueued { get; set; }

    /// <summary>
    /// etcd reports progress neither for a watch that still reads the past, begins in the future or was cancelled by compaction, nor
    /// for a stream that has one.
    /// </summary>
    /// <param name="revision">The current revision.</param>
    public bool BlocksProgress(long revision) => _behindFrom is not null || IsCompacted || request.StartRevision > revision;

    /// <summary>Makes it read the past from the log first.</summary>
    public void FallBehind(long revision)
    {
        _behindFrom = revision;
        _pending.Clear();
        stream.Enqueue(this);
    }

    public void Offer(Change change)
    {
        if (_behindFrom is not null || !Wants(change))
        {
            return;
        }

        if (_pending.Count >= MostPending)
        {
            FallBehind(_pending.Peek().Revision);
            return;
        }

        _pending.Enqueue(change);
        stream.Enqueue(this);
    }

    /// <summary>The next events to send, whole revisions, or <see langword="null"/> where there are none.</summary>
    public WatchResponse? Next(EtcdEngine engine)
    {
        if (_behindFrom is { } from && from < engine.Store.CompactedRevision)
        {
            IsCompacted = true;
            _behindFrom = null;
            return new WatchResponse { Header = engine.Header(0), WatchId = id, Canceled = true, CompactRevision = engine.Store.CompactedRevision };
        }

        var batch = new EventBatch(request.PrevKv);
        var readsLog = _behindFrom is not null;
        if (readsLog)
        {
            TakeFromLog(batch, engine.Store);
        }
        else
        {
            TakePending(batch);
        }

        if (batch.Events.Count == 0)
        {
            return null;
        }

        HasReported = true;
        var caughtUp = readsLog && _behindFrom is null;
        var response = new WatchResponse { Header = engine.Header(caughtUp ? engine.Store.Revision : batch.LastRevision), WatchId = id };
        response.Events.AddRange(batch.Events);
        return response;
    }

    private void TakePending(EventBatch batch)
    {
        while (_pending.TryPeek(out var change) && batch.TryAdd(change))
        {
            _pending.Dequeue();
        }
    }

    private void TakeFromLog(EventBatch batch, MvccStore store)
    {
        for (var i = store.Log.IndexOf(_behindFrom!.Value); i < store.Log.Count; i++)
        {
            var change = store.Log[i];
            if (range.Contains(change.Record.Key) && Wants(change) && !batch.TryAdd(change))
            {
                _behindFrom = change.Revision;
                return;
            }
        }

        _behindFrom = null;
    }

    private bool Wants(Change change) => change.Revision >= startRevision && !(change.IsDelete ? _skipDeletes : _skipPuts);
}
