using Discovery.Etcd.Connections;
using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.Etcd.KeyValues;

/// <summary>
/// Lists a range in pages. The first page sets the revision that all others are read at, so a list is never torn, however much is
/// written meanwhile.
/// </summary>
internal sealed class PagedList(KV.KVClient stub, LatestRevision latest, TimeProvider time, string section)
{
    private const int FirstPageSize = 2_000;

    // What one transaction may have etcd and us hold, and how many lists may go on at a time after it.
    private const int MaxInTransaction = 10_000;
    private const int MaxContinued = 4;

    // A list starts over when its revision was compacted before the last page, or a member does not have it yet.
    private const int MaxStarts = 5;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);

    public Task<EtcdListing> ReadAsync(
        KeyRange range, bool serializable, Action<IReadOnlyList<EtcdKeyValue>>? onPage, CancellationToken cancellationToken)
        => ReadAsync(range, serializable, begun: null, onPage, cancellationToken);

    /// <summary>Lists several ranges by one transaction. Those with more keys than their share in it go on in pages of their own.</summary>
    public async Task<IReadOnlyList<EtcdListing>> ReadTogetherAsync(
        IReadOnlyList<KeyRange> ranges, bool serializable, CancellationToken cancellationToken)
    {
        if (ranges.Count == 0)
        {
            return [];
        }

        var request = new TxnRequest();
        var share = Math.Max(1, Math.Min(MaxInTransaction / ranges.Count, FirstPageSize));
        request.Success.AddRange(ranges.Select(r => new RequestOp
        {
            RequestRange = new RangeRequest { Key = r.Start, RangeEnd = r.End, Limit = share, Serializable = serializable },
        }));
        TxnResponse response;
        try
        {
            response = await stub.TxnAsync(request, cancellationToken: cancellationToken).ConfigureAwait(false);
        }
        catch (EtcdException e) when (IsTooMuch(e))
        {
            return await ReadEachAsync(ranges, serializable, cancellationToken).ConfigureAwait(false);
        }

        response.Header ??= new ResponseHeader();
        if (response.Responses.Count != ranges.Count || response.Responses.Any(static r => r.ResponseRange is null))
        {
            const string What = "a transaction of reads was not answered with what they read";
            throw new EtcdException($"The lists failed: {What}.", new Status(StatusCode.Internal, What), nameof(KV.KVClient.Txn), []);
        }

        if (!serializable)
        {
            latest.Observe(response.Header);
        }

        var listings = new EtcdListing[ranges.Count];
        List<int> continued = [];
        for (var i = 0; i < ranges.Count; i++)
        {
            var page = response.Responses[i].ResponseRange;
            page.Header = response.Header;
            if (page.More)
            {
                continued.Add(i);
            }
            else
            {
                listings[i] = new EtcdListing
                {
                    Items = [.. page.Kvs.Select(Records.From)], Revision = response.Header.Revision, ClusterId = response.Header.ClusterId,
                };
            }
        }

        await Parallel.ForEachAsync(
            continued,
            new ParallelOptions { MaxDegreeOfParallelism = MaxContinued, CancellationToken = cancellationToken },
            async (i, token) => listings[i] = await ReadAsync(ranges[i], serializable, response.Responses[i].ResponseRange, onPage: null, token).ConfigureAwait(false))
            .ConfigureAwait(false);
        return listings;
    }

    // More than one message may hold, or than the connection carries within the limit. Silence is neither.
    private static bool IsTooMuch(EtcdException e) => e.StatusCode == StatusCode.ResourceExhausted || e.Reason == EtcdErrorReason.AnswerIncomplete;

    private async Task<IReadOnlyList<EtcdListing>> ReadEachAsync(
        IReadOnlyList<KeyRange> ranges, bool serializable, CancellationToken cancellationToken)
    {
        var listings = new EtcdListing[ranges.Count];
        await Parallel.ForAsync(
            0,
            ranges.Count,
            new ParallelOptions { MaxDegreeOfParallelism = MaxContinued, CancellationToken = cancellationToken },
            async (i, token) => listings[i] = await ReadAsync(ranges[i], serializable, onPage: null, token).ConfigureAwait(false))
            .ConfigureAwait(false);
        return listings;
    }

    private async Task<EtcdListing> ReadAsync(
        KeyRange range, bool serializable, RangeResponse? begun, Action<IReadOnlyList<EtcdKeyValue>>? onPage, CancellationToken cancellationToken)
    {
        for (var start = 1; ; start++, begun = null)
        {
            try
            {
                if (await TryReadAsync(range, serializable, begun, onPage, cancellationToken).ConfigureAwait(false) is { } listing)
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
                    $"The list failed: {What}, {MaxStarts} times in a row: several clusters answer behind one of the addresses in {section}:Endpoints. Name the "
                    + "client URLs of one cluster's members there.",
                    new Status(StatusCode.FailedPrecondition, What),
                    nameof(KV.KVClient.Range),
                    []);
            }

            await Task.Delay(Jitter.Spread(Jitter.Grow(FirstPause, start, LongestPause)), time, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<EtcdListing?> TryReadAsync(
        KeyRange range, bool serializable, RangeResponse? begun, Action<IReadOnlyList<EtcdKeyValue>>? onPage, CancellationToken cancellationToken)
    {
        var items = new List<EtcdKeyValue>();
        var limit = FirstPageSize;
        ResponseHeader? first = null;
        var next = begun is null ? ReadPageAsync() : Task.FromResult(begun);
        while (true)
        {
            var page = await next.ConfigureAwait(false);
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

            var isLast = !page.More || page.Kvs.Count == 0;
            if (!isLast)
            {
                // Under way while this one is looked at.
                range = range.After(page.Kvs[^1].Key);
                next = ReadPageAsync();
            }

            EtcdKeyValue[] records = [.. page.Kvs.Select(Records.From)];
            items.AddRange(records);
            if (isLast)
            {
                return new EtcdListing { Items = items, Revision = first.Revision, ClusterId = first.ClusterId };
            }

            onPage?.Invoke(records);
        }

        async Task<RangeResponse> ReadPageAsync()
        {
            while (true)
            {
                try
                {
                    return await stub.RangeAsync(
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
                catch (EtcdException e) when (IsTooMuch(e) && limit > 1)
                {
                    limit = Math.Max(1, limit / 16);
                }
            }
        }
    }
}
