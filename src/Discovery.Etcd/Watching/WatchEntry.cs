using Discovery.Etcd.KeyValues;
using Discovery.Etcd.Protocol;
using Google.Protobuf.Collections;

namespace Discovery.Etcd.Watching;

/// <summary>Where a watch stands.</summary>
internal enum WatchPhase
{
    /// <summary>To be created at the server, not before <see cref="WatchEntry.NotBefore"/>.</summary>
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

/// <summary>One watch: what it is for, how far it has seen, and where its news go. Used under the lock of its <see cref="WatchTable"/>.</summary>
internal sealed class WatchEntry(string prefix, KeyRange range, long startRevision, ulong clusterId)
{
    private RepeatedField<Event>? _fragments;
    private bool _interrupted;

    /// <summary>The id we asked the server to use: another one each time, for a server may still hold the last.</summary>
    public long RequestedId { get; set; }

    public string Prefix => prefix;

    public KeyRange Range => range;

    public WatchPhase Phase { get; set; }

    /// <summary>The first revision not seen yet; 0 while that is "now".</summary>
    public long Next { get; private set; } = startRevision;

    public ulong ClusterId { get; private set; } = clusterId;

    /// <summary>The latest raft term by the answers to this watch; 0 while none is known. What a member applied, a majority had agreed on.</summary>
    public ulong Term { get; private set; }

    /// <summary>The id the server uses: the requested one, except behind a proxy that gives its own.</summary>
    public long ServerId { get; private set; }

    public int Rejections { get; set; }

    /// <summary>When it may be created (again), as a timestamp.</summary>
    public long NotBefore { get; set; }

    public UpdateQueue Updates { get; } = new();

    private long Seen => Math.Max(0, Next - 1);

    /// <summary>The server accepted it.</summary>
    public void Open(WatchResponse response)
    {
        Phase = WatchPhase.Open;
        ServerId = response.WatchId;
        NoteTerm(response.Header);
        Rejections = 0;
        _fragments = null;
        _interrupted = false;
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
    public void Accept(WatchResponse response)
    {
        NoteTerm(response.Header);
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

    /// <summary>The stream is alive. What revision that holds for is not known: etcd 3.4 may tell one whose events are still to come.</summary>
    public void Alive() => Publish(EtcdWatchUpdateKind.Progress);

    /// <summary>The stream broke, or could not be opened. Told once until it is open again.</summary>
    public void Interrupt(EtcdException error)
    {
        _fragments = null;
        if (!_interrupted)
        {
            _interrupted = true;
            Publish(EtcdWatchUpdateKind.Interrupted, error);
        }
    }

    public void Reject(EtcdException error) => Publish(EtcdWatchUpdateKind.Rejected, error);

    public void ListAgain(EtcdException error)
    {
        Phase = WatchPhase.Idle;
        _fragments = null;
        Publish(EtcdWatchUpdateKind.ListAgain, error);
    }

    public void Restart(long revision, ulong cluster)
    {
        Phase = WatchPhase.Waiting;
        Next = revision;
        ClusterId = cluster;
        Term = 0;
        Rejections = 0;
        NotBefore = 0;
    }

    public void Close()
    {
        Phase = WatchPhase.Closed;
        Updates.Complete();
    }

    private void NoteTerm(ResponseHeader header) => Term = Math.Max(Term, header.RaftTerm);

    private static int StartOfLastRevision(RepeatedField<Event> events)
    {
        var start = events.Count;
        while (start > 0 && events[start - 1].Kv.ModRevision == events[^1].Kv.ModRevision)
        {
            start--;
        }

        return start;
    }

    // One update for each revision. Events seen before are dropped: etcd repeats some when a member was behind.
    private void Deliver(RepeatedField<Event> events, int count)
    {
        for (var i = 0; i < count;)
        {
            var revision = events[i].Kv.ModRevision;
            var changes = new List<EtcdWatchEvent>();
            for (; i < count && events[i].Kv.ModRevision == revision; i++)
            {
                changes.Add(new EtcdWatchEvent { Deleted = events[i].Type == Event.Types.EventType.Delete, Record = Records.From(events[i].Kv) });
            }

            if (revision >= Next)
            {
                Next = revision + 1;
                Updates.Add(new EtcdWatchUpdate { Kind = EtcdWatchUpdateKind.Changed, Revision = revision, Events = changes });
            }
        }
    }

    private void Publish(EtcdWatchUpdateKind kind, EtcdException? error = null) => Updates.Add(new EtcdWatchUpdate { Kind = kind, Revision = Seen, Error = error });
}
