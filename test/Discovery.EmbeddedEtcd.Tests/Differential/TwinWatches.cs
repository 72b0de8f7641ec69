using Discovery.EmbeddedEtcd.Store;
using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.Etcd.Protocol;
using Google.Protobuf;

namespace Discovery.EmbeddedEtcd.Tests.Differential;

/// <summary>The same watches on both servers, and what both told them.</summary>
internal sealed class TwinWatches(Twin twin) : IDisposable
{
    private readonly WatchRecorder _real = new(twin.Real.Watch());
    private readonly WatchRecorder _embedded = new(twin.Embedded.Watch());
    private readonly Dictionary<long, WatchCreateRequest> _live = [];

    public int Count => _live.Count;

    public long Checked { get; private set; }

    /// <param name="request">The watch.</param>
    /// <param name="revision">The current revision.</param>
    /// <param name="compacted">The compacted revision: a watch from before it is cancelled.</param>
    public async Task CreateAsync(WatchCreateRequest request, long revision, long compacted)
    {
        var created = await _real.CreateAsync(request);
        Twin.Same(Outcome.Of(created), Outcome.Of(await _embedded.CreateAsync(request)), $"Watch {request}");
        if (created.Canceled)
        {
            return;
        }

        var start = request.StartRevision == 0 ? revision + 1 : request.StartRevision;
        var expected = request.Clone();
        expected.StartRevision = start;
        if (start <= revision && start < compacted)
        {
            await Eventually.IsTrue(() => _real[created.WatchId].LastRevision == long.MaxValue && _embedded[created.WatchId].LastRevision == long.MaxValue);
            await EndAsync(created.WatchId, request);
            return;
        }

        _live.Add(created.WatchId, expected);
    }

    public async Task CancelAsync(long id)
    {
        await SettleAsync();
        var request = _live[id];
        _live.Remove(id);
        await EndAsync(id, request);
    }

    public Task CancelOneAsync(Random random) => CancelAsync(_live.Keys.ElementAt(random.Next(_live.Count)));

    /// <summary>
    /// Waits until both servers have told each watch everything, and compares. etcd tells the past with a delay, and answers a progress
    /// request before it has; so each watch gets an event of its own to wait for.
    /// </summary>
    public async Task SettleAsync()
    {
        var written = new List<(ByteString Key, long Put)>();
        foreach (var key in _live.Values.Select(r => r.Key).Distinct())
        {
            // A deletion for those that filter puts.
            written.Add((key, (await twin.CallAsync((c, r) => c.KeyValues.PutAsync(r), new PutRequest { Key = key, Value = "settled".Bytes() }))!.Header.Revision));
            await twin.CallAsync((c, r) => c.KeyValues.DeleteRangeAsync(r), new DeleteRangeRequest { Key = key });
        }

        foreach (var (id, request) in _live)
        {
            var put = written.Last(w => KeyInterval.Of(request.Key, request.RangeEnd).Contains(w.Key)).Put;
            var last = request.Filters.Contains(WatchCreateRequest.Types.FilterType.Nodelete) ? put : put + 1;
            if (last >= request.StartRevision)
            {
                await Eventually.IsTrue(() => _real[id].LastRevision >= last && _embedded[id].LastRevision >= last, what: $"events up to {last} of {request}");
                Compare(id, request);
            }
        }
    }

    public void Dispose()
    {
        _real.Dispose();
        _embedded.Dispose();
    }

    private async Task EndAsync(long id, WatchCreateRequest request)
    {
        Compare(id, request);
        Twin.Same(Outcome.Of(await _real.CancelAsync(id)), Outcome.Of(await _embedded.CancelAsync(id)), $"Cancel {request}");
    }

    private void Compare(long id, WatchCreateRequest request)
    {
        Twin.Same(_real[id].Text, _embedded[id].Text, $"Events of {request}");
        Checked++;
    }
}
