using Discovery.Etcd.Calls;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Watching;

/// <summary>
/// Decides what the server's answers mean for a watch. Where an answer can mean two things, a linearizable read tells which: it goes by
/// another way, with a fresh token, and to a member that has a quorum behind it.
/// </summary>
internal sealed partial class WatchJudge(WatchTable table, KV.KVClient stub, TimeProvider time, ILogger logger, CancellationToken shutdown)
{
    // A stream opened with a token that has expired since refuses all creates; a new stream heals that. More than this is no matter of tokens.
    private const int RefusalsBlamedOnToken = 2;

    private static readonly string Operation = OperationNames.Watch;

    /// <summary>Whether the answer comes from the cluster the watch belongs to; if not, the watch is told to list again.</summary>
    public bool IsSameClusterLockHeld(WatchStream stream, WatchEntry entry, ResponseHeader header)
    {
        // A grpc-proxy may leave the id out.
        if (header.ClusterId == 0 || entry.ClusterId == 0 || header.ClusterId == entry.ClusterId)
        {
            return true;
        }

        var error = Error(stream, StatusCode.FailedPrecondition, $"another cluster answers: {header.ClusterId:x} instead of {entry.ClusterId:x}");
        Log.ListAgain(logger, entry.Prefix, error.Message);
        entry.ListAgain(error);
        return false;
    }

    /// <summary>The events from where the watch stands were compacted.</summary>
    public void CompactedLockHeld(WatchStream stream, WatchEntry entry, long compactRevision)
    {
        var error = Error(stream, StatusCode.OutOfRange, $"the revisions from {entry.Next} on were compacted, up to {compactRevision}");
        Log.ListAgain(logger, entry.Prefix, error.Message);
        entry.ListAgain(error);
    }

    /// <summary>Ends a watch whose reader does not read: it goes on from a new list, and memory does not fill up meanwhile.</summary>
    public void CheckReaderLockHeld(WatchStream stream, WatchEntry entry)
    {
        if (entry.Updates.IsOverfull)
        {
            stream.CancelLockHeld(entry);
            var error = Error(stream, StatusCode.ResourceExhausted, $"more than {UpdateQueue.Limit >> 20} MiB of its updates were left unread");
            Log.Unread(logger, entry.Prefix, error.Message);
            entry.ListAgain(error);
        }
    }

    /// <summary>Whether a raft term is earlier than one known before. A grpc-proxy may leave it out.</summary>
    public static bool IsEarlier(ulong term, ulong known) => term != 0 && term < known;

    /// <summary>
    /// The server knows an older revision, or an earlier raft term, than the watch has seen: it is behind, or the cluster was restored from
    /// a backup or wiped. One that was written past our revision since shows by its term alone, unless it held as many elections too.
    /// </summary>
    public void BehindLockHeld(WatchStream stream, WatchEntry entry, long seen) => _ = CheckHistoryAsync(stream, entry, entry.RequestedId, seen, entry.Term);

    /// <summary>The server refused a watch, at its creation or later.</summary>
    public void RefusedLockHeld(WatchStream stream, WatchEntry entry, string reason)
    {
        entry.Rejections++;
        if (EtcdMessages.ReasonOf(reason) == EtcdErrorReason.PermissionDenied || EtcdMessages.IsTokenError(reason) || reason.Length == 0)
        {
            entry.Phase = WatchPhase.Checking;
            _ = CheckPermissionAsync(stream, entry, reason);
        }
        else
        {
            RejectLockHeld(stream, entry, Error(stream, StatusCode.Unknown, $"etcd refused the watch: {reason}"));
        }
    }

    // The members' answers to a linearizable read never go back in revision or term while the cluster keeps its history.
    private async Task CheckHistoryAsync(WatchStream stream, WatchEntry entry, long opening, long seen, ulong term)
    {
        for (var tries = 1; ; tries++)
        {
            var (header, _) = await ProbeAsync(entry);
            lock (table.Gate)
            {
                if (shutdown.IsCancellationRequested || entry.Phase != WatchPhase.Open || entry.RequestedId != opening)
                {
                    // Whoever opens it again looks again.
                    return;
                }

                if (header is not null)
                {
                    if (header.Revision < seen)
                    {
                        WentBackLockHeld(stream, entry, $"the cluster's revision went back from {seen} to {header.Revision}");
                    }
                    else if (IsEarlier(header.RaftTerm, term))
                    {
                        WentBackLockHeld(stream, entry, $"the cluster was replaced by an earlier or new one: its raft term went back from {term} to {header.RaftTerm}");
                    }

                    return;
                }
            }

            // Without an answer a restored cluster would go unnoticed: the watch would wait for it to catch up.
            var pause = Jitter.Spread(Jitter.Grow(WatchTimes.FirstRefusalPause, tries, WatchTimes.LongestRefusalPause));
            await Task.Delay(pause, time, shutdown).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void WentBackLockHeld(WatchStream stream, WatchEntry entry, string what)
    {
        stream.CancelLockHeld(entry);
        var error = Error(stream, StatusCode.OutOfRange, what);
        Log.ListAgain(logger, entry.Prefix, error.Message);
        entry.ListAgain(error);
    }

    private async Task CheckPermissionAsync(WatchStream stream, WatchEntry entry, string reason)
    {
        var (_, refusal) = await ProbeAsync(entry);
        lock (table.Gate)
        {
            if (entry.Phase != WatchPhase.Checking)
            {
                return;
            }

            if (refusal is not null || entry.Rejections > RefusalsBlamedOnToken)
            {
                RejectLockHeld(stream, entry, refusal ?? Error(stream, StatusCode.PermissionDenied, $"etcd refused the watch: {reason}"));
                return;
            }

            entry.Phase = WatchPhase.Waiting;
        }

        stream.End(CallFailedException.Planned("its token is not valid any more"));
    }

    private void RejectLockHeld(WatchStream stream, WatchEntry entry, EtcdException error)
    {
        var pause = Jitter.Spread(Jitter.Grow(WatchTimes.FirstRefusalPause, entry.Rejections, WatchTimes.LongestRefusalPause));
        entry.Phase = WatchPhase.Waiting;
        entry.NotBefore = time.GetTimestamp() + (long)(pause.TotalSeconds * time.TimestampFrequency);
        Log.Rejected(logger, entry.Prefix, pause, error.Message);
        entry.Reject(error);
        CheckReaderLockHeld(stream, entry);
    }

    private async Task<(ResponseHeader? Header, EtcdException? Refusal)> ProbeAsync(WatchEntry entry)
    {
        try
        {
            var request = new RangeRequest { Key = entry.Range.Start, RangeEnd = entry.Range.End, Limit = 1, KeysOnly = true };
            return ((await stub.RangeAsync(request, cancellationToken: shutdown).ConfigureAwait(false)).Header, null);
        }
        catch (EtcdException e)
        {
            return (null, e);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            return (null, null);
        }
    }

    private static EtcdException Error(WatchStream stream, StatusCode code, string what) =>
        new($"Watch at {stream.Endpoint.Name}: {what}.", new Status(code, what), Operation, [stream.Endpoint.Name]);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The watch on '{Prefix}' has to list again. {Reason}")]
        public static partial void ListAgain(ILogger logger, string prefix, string reason);

        [LoggerMessage(2, LogLevel.Warning, "The watch on '{Prefix}' was rejected; the next try is in {Pause}. {Reason}")]
        public static partial void Rejected(ILogger logger, string prefix, TimeSpan pause, string reason);

        [LoggerMessage(3, LogLevel.Warning, "The watch on '{Prefix}' was cancelled; its reader has to list again. {Reason}")]
        public static partial void Unread(ILogger logger, string prefix, string reason);
    }
}
