using Discovery.Etcd.KeyValues;
using Discovery.Etcd.Protocol;
using Google.Protobuf.Collections;
using Grpc.Core;

namespace Discovery.Etcd.Watching;

/// <summary>Where a watch stands.</summary>
internal enum WatchPhase
{
    /// <summary>To be created at the server, not before <see cref="WatchSubscription.RetryAt"/>.</summary>
    Waiting,

    /// <summary>Its create request was sent.</summary>
    Creating,

    /// <summary>The server refused it; why is being found out.</summary>
    Checking,

    /// <summary>The server delivers its events.</summary>
    Open,

    /// <summary>Its reader has to list again.</summary>
    Idle,

    /// <summary>Disposed.</summary>
    Closed,
}

/// <summary>One watch: what it is for, how far it has seen, and where its updates go. Used on the event loop, but for its updates.</summary>
internal sealed class WatchSubscription(WatchTarget target, long startRevision, ulong clusterId, UnreadBudget budget)
{
    private RepeatedField<Event>? _fragments;
    private bool _isInterrupted;
    private bool _isUnavailable;
    private StatusCode? _loggedRefusal;
    private long _loggedRefusalAt;

    public WatchTarget Target => target;

    public string Prefix => target.Name;

    public KeyRange Range => target.Range;

    public UpdateQueue Updates { get; } = new(budget);

    public WatchPhase Phase { get; private set; }

    /// <summary>Whether it is to be open, or becomes so later.</summary>
    public bool NeedsStream => Phase is not (WatchPhase.Idle or WatchPhase.Closed);

    /// <summary>The first revision not seen yet; 0 while that is "now".</summary>
    public long Next { get; private set; } = startRevision;

    public ulong ClusterId { get; private set; } = clusterId;

    /// <summary>The latest raft term by the answers to this watch; 0 while none is known. What a member applied, a majority had agreed on.</summary>
    public ulong Term { get; private set; }

    /// <summary>The id we asked the server to use: another one each time, for a server may still hold the last.</summary>
    public long RequestedId { get; private set; }

    /// <summary>The id the server uses: the requested one, except behind a proxy that gives its own.</summary>
    public long ServerId { get; private set; }

    /// <summary>How often in a row the server refused it.</summary>
    public int Refusals { get; private set; }

    /// <summary>When it may be created (again), as a timestamp.</summary>
    public long RetryAt { get; private set; }

    private long Seen => Math.Max(0, Next - 1);

    /// <summary>Its create request goes out.</summary>
    public void Creating(long id)
    {
        Phase = WatchPhase.Creating;
        RequestedId = id;
    }

    /// <summary>The server accepted it.</summary>
    public void Opened(WatchResponse response)
    {
        Phase = WatchPhase.Open;
        ServerId = response.WatchId;
        SawTerm(response.Header);
        Refusals = 0;
        _loggedRefusal = null;
        _fragments = null;
        _isInterrupted = false;
        _isUnavailable = false;
        if (Next == 0)
        {
            // "From now" is from here on a revision like any other: what happens after it must not be lost when the stream breaks.
            Next = response.Header.Revision + 1;
        }

        if (ClusterId == 0)
        {
            ClusterId = response.Header.ClusterId;
        }

        Publish(EtcdWatchUpdateKind.Opened);
    }

    /// <summary>Takes a response with events, or with none: then it says that nothing happened up to its revision.</summary>
    public void Received(WatchResponse response)
    {
        SawTerm(response.Header);
        var events = response.Events;
        if (_fragments is not null)
        {
            _fragments.AddRange(response.Events);
            (events, _fragments) = (_fragments, null);
        }

        if (response.Fragment)
        {
            // Only the last revision may go on in the next fragment; a long history in many fragments must not pile up here.
            var complete = StartOfLastRevision(events);
            _fragments = [.. events.Skip(complete)];
            Deliver(events, complete);
            return;
        }

        if (events.Count > 0)
        {
            Deliver(events, events.Count);
        }
        else
        {
            Next = Math.Max(Next, response.Header.Revision + 1);
            Publish(EtcdWatchUpdateKind.Progress);
        }
    }

    /// <summary>The stream is alive. Up to which revision nothing happened is not known: events may still be on their way.</summary>
    public void StreamAlive() => Publish(EtcdWatchUpdateKind.Progress);

    /// <summary>The stream ended and another one follows; readers need not know.</summary>
    public void StreamReplaced()
    {
        if (NeedsStream)
        {
            Phase = WatchPhase.Waiting;
            _fragments = null;
        }
    }

    /// <summary>The stream broke, or could not be opened. Published once until it is open again.</summary>
    public void StreamFailed(EtcdException error)
    {
        if (NeedsStream)
        {
            StreamReplaced();
            PublishOnce(ref _isInterrupted, EtcdWatchUpdateKind.Interrupted, error);
        }
    }

    /// <summary>There has been no stream for a while. Published once until it is open again.</summary>
    public void StreamUnavailable(EtcdException error)
    {
        if (NeedsStream)
        {
            PublishOnce(ref _isUnavailable, EtcdWatchUpdateKind.Unavailable, error);
        }
    }

    /// <summary>The server refused it, at its creation or later; why is being found out.</summary>
    public void Refused()
    {
        Phase = WatchPhase.Checking;
        Refusals++;
    }

    /// <summary>What refused it is healed: it may be created again at once.</summary>
    public void Retry() => Phase = WatchPhase.Waiting;

    /// <summary>The refusal stands; it is created again later.</summary>
    /// <returns>Whether that is to be logged: it is another refusal than before, or it has lasted.</returns>
    public bool Rejected(EtcdException error, long retryAt, TimeProvider time)
    {
        Phase = WatchPhase.Waiting;
        RetryAt = retryAt;
        Publish(EtcdWatchUpdateKind.Rejected, error);
        if (_loggedRefusal == error.StatusCode && time.GetElapsedTime(_loggedRefusalAt) < WatchTimings.RefusalLogInterval)
        {
            return false;
        }

        _loggedRefusal = error.StatusCode;
        _loggedRefusalAt = time.GetTimestamp();
        return true;
    }

    /// <summary>The events from here on cannot be had: the reader has to list.</summary>
    public void ListAgain(EtcdException error, long compactRevision = 0)
    {
        Phase = WatchPhase.Idle;
        _fragments = null;
        Publish(EtcdWatchUpdateKind.ListAgain, error, compactRevision);
    }

    /// <summary>Drops what the reader has not read; it has to list.</summary>
    public void DropUnread(EtcdException error)
    {
        // A reader that was told to list already is not told twice.
        if (Updates.Clear() || Phase != WatchPhase.Idle)
        {
            ListAgain(error);
        }
    }

    /// <summary>The reader listed.</summary>
    public void Restarted(long revision, ulong cluster)
    {
        if (Phase == WatchPhase.Idle)
        {
            Phase = WatchPhase.Waiting;
            Next = revision;
            ClusterId = cluster;
            Term = 0;
            Refusals = 0;
            RetryAt = 0;
            _isInterrupted = false;
            _isUnavailable = false;
        }
    }

    public void Close()
    {
        Phase = WatchPhase.Closed;
        Updates.Complete();
    }

    private static int StartOfLastRevision(RepeatedField<Event> events)
    {
        var start = events.Count;
        while (start > 0 && events[start - 1].Kv.ModRevision == events[^1].Kv.ModRevision)
        {
            start--;
        }

        return start;
    }

    private void SawTerm(ResponseHeader header) => Term = Math.Max(Term, header.RaftTerm);

    // One update for each revision. Events seen before are dropped: etcd repeats some when a member was behind.
    private void Deliver(RepeatedField<Event> events, int count)
    {
        for (var i = 0; i < count;)
        {
            var revision = events[i].Kv.ModRevision;
            var changes = new List<EtcdWatchEvent>();
            for (; i < count && events[i].Kv.ModRevision == revision; i++)
            {
                changes.Add(new EtcdWatchEvent
                {
                    Deleted = events[i].Type == Event.Types.EventType.Delete,
                    Record = Records.From(events[i].Kv),
                    Previous = events[i].PrevKv is { } previous ? Records.From(previous) : null,
                });
            }

            if (revision >= Next)
            {
                Next = revision + 1;
                Updates.Add(new EtcdWatchUpdate { Kind = EtcdWatchUpdateKind.Changed, Revision = revision, Events = changes, ClusterId = ClusterId });
            }
        }
    }

    private void PublishOnce(ref bool isPublished, EtcdWatchUpdateKind kind, EtcdException error)
    {
        if (!isPublished)
        {
            isPublished = true;
            Publish(kind, error);
        }
    }

    private void Publish(EtcdWatchUpdateKind kind, EtcdException? error = null, long compactRevision = 0) => Updates.Add(
        new EtcdWatchUpdate { Kind = kind, Revision = Seen, Error = error, ClusterId = ClusterId, CompactRevision = compactRevision });
}
