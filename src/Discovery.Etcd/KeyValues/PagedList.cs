using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.Etcd.KeyValues;

/// <summary>
/// Lists a range in pages. The first page sets the revision that all others are read at, so a list is never torn, however much is
/// written meanwhile.
/// </summary>
internal sealed class PagedList(KV.KVClient stub, LatestRevision latest, TimeProvider time)
{
    private const int FirstPageSize = 2_000;

    // A list starts over when its revision was compacted before the last page, or a member does not have it yet.
    private const int MaxStarts = 5;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);

    public async Task<EtcdListing> ReadAsync(KeyRange range, bool serializable, CancellationToken cancellationToken)
    {
        for (var start = 1; ; start++)
        {
            try
            {
                if (await TryReadAsync(range, serializable, cancellationToken).ConfigureAwait(false) is { } listing)
                {
                    return listing;
                }
            }
            catch (EtcdException e) when (e.StatusCode == StatusCode.OutOfRange && start < MaxStarts)
            {
                // The next start takes a new revision.
            }

            if (start == MaxStarts)
            {
                const string What = "the pages of a list came from different clusters";
                throw new EtcdException(
                    $"The list failed: {What}, {MaxStarts} times in a row: several clusters answer behind one of the addresses in Etcd:Endpoints. Name the client "
                    + "URLs of one cluster's members there.",
                    new Status(StatusCode.FailedPrecondition, What),
                    nameof(KV.KVClient.Range),
                    []);
            }

            await Task.Delay(Jitter.Spread(Jitter.Grow(FirstPause, start, LongestPause)), time, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<EtcdListing?> TryReadAsync(KeyRange range, bool serializable, CancellationToken cancellationToken)
    {
        var items = new List<EtcdKeyValue>();
        var limit = FirstPageSize;
        ResponseHeader? first = null;
        while (true)
        {
            RangeResponse page;
            try
            {
                page = await stub.RangeAsync(
                    new RangeRequest
                    {
                        Key = range.Start,
                        RangeEnd = range.End,
                        Limit = limit,
                        Revision = first?.Revision ?? 0,
                        Serializable = serializable,
                    },
                    cancellationToken: cancellationToken).ConfigureAwait(false);
            }
            catch (EtcdException e) when (e.StatusCode == StatusCode.ResourceExhausted && limit > 1)
            {
                limit = Math.Max(1, limit / 16);
                continue;
            }

            page.Header ??= new ResponseHeader();
            first ??= page.Header;
            if (!serializable)
            {
                latest.Observe(page.Header);
            }

            if (page.Header.ClusterId != first.ClusterId)
            {
                // Another cluster answers under the same address: none of the pages belong together.
                return null;
            }

            items.AddRange(page.Kvs.Select(Records.From));
            if (!page.More || page.Kvs.Count == 0)
            {
                return new EtcdListing { Items = items, Revision = first.Revision, ClusterId = first.ClusterId };
            }

            range = range.After(page.Kvs[^1].Key);
        }
    }
}
