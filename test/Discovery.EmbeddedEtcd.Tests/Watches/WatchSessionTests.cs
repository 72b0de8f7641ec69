using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.EmbeddedEtcd.Watches;
using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.Tests.Watches;

public sealed class WatchSessionTests : IDisposable
{
    private readonly EtcdEngine _engine = new(new FakeTimeProvider(), retainedRevisions: 0);
    private readonly WatchSession _session;

    public WatchSessionTests() => _session = new WatchSession(_engine, TimeSpan.FromMinutes(10));

    public void Dispose()
    {
        _session.Dispose();
        _engine.Dispose();
    }

    [Fact]
    public void The_past_comes_in_batches()
    {
        Put(2500);
        _session.Handle(new WatchRequest { CreateRequest = new WatchCreateRequest { Key = "a".Bytes(), StartRevision = 1 } });

        Assert.True(Next()!.Created);
        var batches = new[] { Next()!, Next()!, Next()! };

        Assert.Equal([1000, 1000, 500], batches.Select(b => b.Events.Count));
        Assert.Equal([1001, 2001, 2501], batches.Select(b => b.Header.Revision));
        Assert.Null(Next());
    }

    [Fact]
    public void Progress_comes_after_all_that_it_vouches_for_and_not_while_the_past_is_read()
    {
        Put(2500);
        _session.Handle(new WatchRequest { CreateRequest = new WatchCreateRequest { Key = "a".Bytes(), StartRevision = 1 } });
        RequestProgress();
        var responses = new[] { Next()!, Next()!, Next()!, Next()! };
        Assert.DoesNotContain(responses, r => r.WatchId == -1);
        Assert.Null(Next());

        Put(1001);
        RequestProgress();
        Assert.Equal([1000, 1], new[] { Next()!, Next()! }.Select(r => r.Events.Count));
        var progress = Next()!;

        Assert.Equal((-1, 3502, 0), (progress.WatchId, progress.Header.Revision, progress.Events.Count));
        Assert.Null(Next());
    }

    [Fact]
    public void A_watcher_whose_client_does_not_read_keeps_nothing_and_misses_nothing()
    {
        _session.Handle(new WatchRequest { CreateRequest = new WatchCreateRequest { Key = "a".Bytes() } });
        Put(1500);

        Assert.True(Next()!.Created);
        Assert.Equal(1000, Next()!.Events.Count);
        Put(10);
        Assert.Equal(510, Next()!.Events.Count);
        Assert.Null(Next());
    }

    [Fact]
    public void A_watcher_that_fell_behind_is_cancelled_when_its_past_is_compacted()
    {
        _session.Handle(new WatchRequest { CreateRequest = new WatchCreateRequest { Key = "a".Bytes() } });
        Put(1500);
        _engine.Store.Compact(_engine.Store.Revision);

        Assert.True(Next()!.Created);
        var cancelled = Next()!;
        Put(1);

        Assert.True(cancelled.Canceled);
        Assert.Equal(1501, cancelled.CompactRevision);
        Assert.Null(Next());
        Assert.Equal(0, _engine.Watchers.Count);
    }

    private void RequestProgress() => _session.Handle(new WatchRequest { ProgressRequest = new WatchProgressRequest() });

    private WatchResponse? Next() => _session.Next(out _);

    private void Put(int count)
    {
        for (var i = 0; i < count; i++)
        {
            var transaction = _engine.Begin();
            transaction.Put("a".Bytes(), "value".Bytes(), lease: 0);
            _engine.Commit(transaction);
        }
    }
}
