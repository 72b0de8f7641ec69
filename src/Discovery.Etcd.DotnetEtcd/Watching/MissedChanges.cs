using Etcdserverpb;
using Google.Protobuf;
using Grpc.Core;
using Mvccpb;

namespace Discovery.Etcd.DotnetEtcd.Watching;

/// <summary>Finds out what changed while a watch could not see it. What still exists is found; keys deleted meanwhile are not.</summary>
internal sealed class MissedChanges(KV.KVClient keyValues, WatchCreateRequest watch)
{
    private const int PageSize = 1000;

    /// <summary>Reads the keys that were put since a revision.</summary>
    /// <param name="since">The first revision that was not seen; 0 for all keys.</param>
    /// <param name="compactRevision">
    /// Where the history begins now, or 0. The keys are read as they stood there if they still can be, so that the watch delivers everything
    /// from there on itself, deletions included.
    /// </param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <returns>The puts, in their order, and the revision and cluster that a watch goes on from.</returns>
    /// <exception cref="RpcException">etcd refused, or is not available.</exception>
    /// <exception cref="OperationCanceledException">The reading was ended.</exception>
    public async Task<(IReadOnlyList<Event> Puts, long Revision, ulong ClusterId)> ReadAsync(long since, long compactRevision, CancellationToken cancellationToken)
    {
        if (compactRevision > 0)
        {
            try
            {
                return await ReadAtAsync(since, compactRevision, cancellationToken).ConfigureAwait(false);
            }
            catch (RpcException e) when (e.StatusCode == StatusCode.OutOfRange)
            {
                // Compacted again meanwhile.
            }
        }

        return await ReadAtAsync(since, revision: 0, cancellationToken).ConfigureAwait(false);
    }

    private async Task<(IReadOnlyList<Event> Puts, long Revision, ulong ClusterId)> ReadAtAsync(long since, long revision, CancellationToken cancellationToken)
    {
        var request = new RangeRequest { Key = watch.Key, RangeEnd = watch.RangeEnd, Revision = revision, MinModRevision = since, Limit = PageSize };
        var puts = new List<Event>();
        while (true)
        {
            RangeResponse page;
            try
            {
                page = await keyValues.RangeAsync(request, cancellationToken: cancellationToken).ConfigureAwait(false);
            }
            catch (RpcException e) when (IsTooMuch(e) && request.Limit > 1)
            {
                request.Limit = Math.Max(1, request.Limit / 16);
                continue;
            }

            if (request.Revision == 0)
            {
                // The other pages are read at the revision of the first.
                request.Revision = page.Header.Revision;
            }

            if (!watch.Filters.Contains(WatchCreateRequest.Types.FilterType.Noput))
            {
                puts.AddRange(page.Kvs.Select(static kv => new Event { Type = Event.Types.EventType.Put, Kv = kv }));
            }

            if (!page.More || page.Kvs.Count == 0)
            {
                puts.Sort(static (a, b) => a.Kv.ModRevision.CompareTo(b.Kv.ModRevision));
                return (puts, request.Revision, page.Header.ClusterId);
            }

            request.Key = After(page.Kvs[^1].Key);
        }
    }

    // More than one message may hold, or than the connection carries within the limit.
    private static bool IsTooMuch(RpcException e) =>
        e.StatusCode == StatusCode.ResourceExhausted || e is EtcdException { Reason: EtcdErrorReason.AnswerIncomplete };

    private static ByteString After(ByteString key) => ByteString.CopyFrom([.. key.Span, 0]);
}
