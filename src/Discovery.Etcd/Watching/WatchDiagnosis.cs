using Discovery.Etcd.Calls;
using Discovery.Etcd.Protocol;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Watching;

/// <summary>
/// Finds out what the server's answers mean for a watch. Where an answer can mean two things, a linearizable read tells which. Used on the
/// event loop, where the results of its reads come back to.
/// </summary>
internal sealed partial class WatchDiagnosis(
    WatchConnector connector, EventLoop loop, Action<WatchStream, StreamEnd> endStream, TimeProvider time, ILogger logger, CancellationToken shutdown)
{
    // A stream opened with a token that has expired since refuses all creates; a new stream heals that. More than this is no matter of tokens.
    private const int RefusalsBlamedOnToken = 2;

    // Each has another prefix, and somebody has to look after it.
    private const int LoggedRejections = 5;

    private readonly RepeatedLines _lines = new(loop, time, logger, shutdown);

    /// <summary>Whether a raft term is earlier than one known before. A grpc-proxy may leave it out.</summary>
    public static bool IsEarlier(ulong term, ulong known) => term != 0 && term < known;

    /// <summary>
    /// Whether the answer comes from the cluster the watch belongs to; if not, the watch has to list again. Where only this endpoint belongs
    /// to another cluster, the stream is opened elsewhere.
    /// </summary>
    public bool IsSameCluster(WatchStream stream, WatchSubscription watch, ResponseHeader header)
    {
        if (!connector.Accepts(stream.Call.Endpoint, header.ClusterId, stream.StartedAt))
        {
            endStream(stream, StreamEnd.OtherCluster(stream.Endpoint, header.ClusterId));
            return false;
        }

        // A grpc-proxy may leave the id out.
        if (header.ClusterId == 0 || watch.ClusterId == 0 || header.ClusterId == watch.ClusterId)
        {
            return true;
        }

        ListAgain(stream, watch, StatusCode.FailedPrecondition, "another cluster answers", $"another cluster answers: {header.ClusterId:x} instead of {watch.ClusterId:x}");
        return false;
    }

    /// <summary>The events from where the watch stands were compacted.</summary>
    public void Compacted(WatchStream stream, WatchSubscription watch, long compactRevision) =>
        ListAgain(stream, watch, StatusCode.OutOfRange, "the revisions they need were compacted", $"the revisions from {watch.Next} on were compacted, up to {compactRevision}", compactRevision);

    /// <summary>
    /// The server knows an older revision, or an earlier raft term, than the watch has seen: it is behind, or the cluster was restored from
    /// a backup or wiped. One that was written past our revision since shows by its term alone, unless it held as many elections too.
    /// </summary>
    public void HistoryInDoubt(WatchStream stream, WatchSubscription watch, long seen) =>
        _ = CheckHistoryAsync(stream, watch, watch.RequestedId, seen, watch.Term);

    /// <summary>A proxy stands between, whose own answers do not tell whether the cluster is the one that the watches belong to.</summary>
    public void ProxyInDoubt(WatchStream stream, IReadOnlyList<WatchSubscription> watches)
    {
        if (watches.Count > 0)
        {
            _ = CheckBehindProxyAsync(stream, watches);
        }
    }

    /// <summary>The member knows an older revision than the cluster had some time ago: it is cut off, or the cluster was restored meanwhile.</summary>
    public void Lagging(WatchStream stream, WatchSubscription watch, long revision, long expected) =>
        _ = CheckLagAsync(stream, watch, revision, expected);

    /// <summary>The server refused a watch, at its creation or later.</summary>
    public void Refused(WatchStream stream, WatchSubscription watch, string reason)
    {
        watch.Refused();
        if (EtcdMessages.ReasonOf(reason) == EtcdErrorReason.PermissionDenied || EtcdMessages.IsTokenError(reason) || reason.Length == 0)
        {
            _ = CheckPermissionAsync(stream, watch, watch.RequestedId, reason);
        }
        else
        {
            Reject(stream, watch, Error(stream, StatusCode.Unknown, $"etcd refused the watch: {reason}"));
        }
    }

    /// <summary>A watch whose reader does not read: it goes on from a new list, and memory does not fill up meanwhile.</summary>
    public void Unread(WatchSubscription watch, bool mustDrop)
    {
        var what = mustDrop
            ? $"more than {UnreadBudget.Total >> 20} MiB of updates were left unread by all readers together, most of them by this one"
            : $"more than {UnreadBudget.PerWatch >> 20} MiB of its updates were left unread";
        var error = new EtcdException($"Watch on '{watch.Prefix}': {what}.", new Status(StatusCode.ResourceExhausted, what), WatchCall.Operation, []);
        if (_lines.Allows("their updates were left unread"))
        {
            Log.Unread(logger, watch.Prefix, error.Message);
        }

        if (mustDrop)
        {
            watch.DropUnread(error);
        }
        else
        {
            watch.ListAgain(error);
        }
    }

    private static EtcdException Error(WatchStream stream, StatusCode code, string what) =>
        new($"Watch at {stream.Endpoint}: {what}.", new Status(code, what), WatchCall.Operation, [stream.Endpoint]);

    private static TimeSpan PauseAfter(int refusals) =>
        Jitter.Spread(Jitter.Grow(WatchTimings.FirstRefusalPause, refusals, WatchTimings.LongestRefusalPause));

    // The members' answers to a linearizable read never go back in revision or term while the cluster keeps its history.
    private async Task CheckHistoryAsync(WatchStream stream, WatchSubscription watch, long opening, long seen, ulong term)
    {
        ResponseHeader? header = null;
        for (var tries = 1; header is null && !shutdown.IsCancellationRequested; tries++)
        {
            (header, _) = await Task.Run(() => connector.ProbeAsync(watch.Range, shutdown)).ConfigureAwait(false);
            if (header is null)
            {
                // Without an answer a restored cluster would go unnoticed: the watch would wait for it to catch up.
                await Task.Delay(PauseAfter(tries), time, shutdown).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        if (header is not null)
        {
            loop.Post(() => Compare(stream, new OpenWatch(watch, opening, seen, term), header));
        }
    }

    // What the watches had seen before the question: events may arrive before the answer.
    private async Task CheckBehindProxyAsync(WatchStream stream, IReadOnlyList<WatchSubscription> watches)
    {
        List<OpenWatch> before = [.. watches.Select(static w => new OpenWatch(w, w.RequestedId, w.Next - 1, w.Term))];
        var (header, _) = await Task.Run(() => connector.ProbeAsync(watches[0].Range, shutdown)).ConfigureAwait(false);
        if (header is not null)
        {
            loop.Post(() => before.ForEach(watch => Compare(stream, watch, header)));
        }
    }

    private void Compare(WatchStream stream, OpenWatch open, ResponseHeader header)
    {
        var (watch, opening, seen, term) = open;
        if (watch.Phase != WatchPhase.Open || watch.RequestedId != opening)
        {
            // Whoever opens it again looks again.
            return;
        }

        if (header.ClusterId != 0 && watch.ClusterId != 0 && header.ClusterId != watch.ClusterId)
        {
            WentBack(stream, watch, $"another cluster answers: {header.ClusterId:x} instead of {watch.ClusterId:x}");
        }
        else if (header.Revision < seen)
        {
            WentBack(stream, watch, $"the cluster's revision went back from {seen} to {header.Revision}");
        }
        else if (IsEarlier(header.RaftTerm, term))
        {
            WentBack(stream, watch, $"the cluster was replaced by an earlier or new one: its raft term went back from {term} to {header.RaftTerm}");
        }
    }

    private async Task CheckLagAsync(WatchStream stream, WatchSubscription watch, long revision, long expected)
    {
        var (header, _) = await Task.Run(() => connector.ProbeAsync(watch.Range, shutdown)).ConfigureAwait(false);
        loop.Post(() =>
        {
            if (header is not null && revision < Math.Min(expected, header.Revision))
            {
                endStream(stream, StreamEnd.CutOff(stream.Endpoint));
            }
        });
    }

    private async Task CheckPermissionAsync(WatchStream stream, WatchSubscription watch, long opening, string reason)
    {
        var (_, refusal) = await Task.Run(() => connector.ProbeAsync(watch.Range, shutdown)).ConfigureAwait(false);
        loop.Post(() =>
        {
            // On another stream it may have been refused again, which is checked again.
            if (watch.Phase != WatchPhase.Checking || watch.RequestedId != opening)
            {
                return;
            }

            if (refusal is not null || watch.Refusals > RefusalsBlamedOnToken)
            {
                Reject(stream, watch, refusal ?? Error(stream, StatusCode.PermissionDenied, $"etcd refused the watch: {reason}"));
                return;
            }

            watch.Retry();
            endStream(stream, StreamEnd.Planned("its token is not valid any more"));
        });
    }

    private void WentBack(WatchStream stream, WatchSubscription watch, string what)
    {
        stream.Cancel(watch);
        ListAgain(stream, watch, StatusCode.OutOfRange, "the cluster's history went back", what);
    }

    private void ListAgain(WatchStream stream, WatchSubscription watch, StatusCode code, string cause, string what, long compactRevision = 0)
    {
        var error = Error(stream, code, what);
        if (_lines.Allows(cause))
        {
            Log.ListAgain(logger, watch.Prefix, error.Message);
        }

        watch.ListAgain(error, compactRevision);
    }

    private void Reject(WatchStream stream, WatchSubscription watch, EtcdException error)
    {
        var pause = PauseAfter(watch.Refusals);
        var retryAt = time.GetTimestamp() + (long)(pause.TotalSeconds * time.TimestampFrequency);
        if (watch.Rejected(error, retryAt, time) && _lines.Allows($"they were rejected ({error.Status.Detail})", LoggedRejections))
        {
            Log.Rejected(logger, watch.Prefix, pause, error.Message);
        }

        stream.Add(watch);
    }

    /// <summary>A watch as it stood when a question was asked.</summary>
    /// <param name="Watch">The watch.</param>
    /// <param name="Opening">The id that was asked for at its opening.</param>
    /// <param name="Seen">The last revision that it had seen.</param>
    /// <param name="Term">The latest raft term that it had seen.</param>
    private sealed record OpenWatch(WatchSubscription Watch, long Opening, long Seen, ulong Term);

    private static partial class Log
    {
        [LoggerMessage(1210, LogLevel.Information, "The watch on '{Prefix}' has to list again. {Reason}")]
        public static partial void ListAgain(ILogger logger, string prefix, string reason);

        [LoggerMessage(1211, LogLevel.Warning, "The watch on '{Prefix}' was rejected; the next try is in {Pause}. {Reason}")]
        public static partial void Rejected(ILogger logger, string prefix, TimeSpan pause, string reason);

        [LoggerMessage(1212, LogLevel.Warning, "The watch on '{Prefix}' was cancelled; its reader has to list again. {Reason}")]
        public static partial void Unread(ILogger logger, string prefix, string reason);
    }
}
