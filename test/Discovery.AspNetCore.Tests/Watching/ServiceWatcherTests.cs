using System.Collections.Concurrent;
using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.AspNetCore.Tests.Watching;

public sealed class ServiceWatcherTests : IAsyncLifetime, IDisposable
{
    private readonly ModelEtcd _etcd = new();
    private readonly LogRecorder _log = new();
    private readonly FakeTimeProvider _clock = new();
    private readonly List<IAsyncDisposable> _watchers = [];
    private readonly string _directory = Path.Combine(Path.GetTempPath(), $"snapshots-{Guid.NewGuid():N}");

    public Task InitializeAsync() => Task.CompletedTask;

    public void Dispose() => _log.Dispose();

    public async Task DisposeAsync()
    {
        foreach (var watcher in _watchers)
        {
            await watcher.DisposeAsync();
        }

        if (Directory.Exists(_directory))
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    [Fact]
    public async Task Waiters_are_released_by_the_first_snapshot()
    {
        _etcd.IsDown = true;
        Put("10.0.0.1:80");
        var watcher = Watch();
        var waiters = Enumerable.Range(0, 10).Select(_ => watcher.WaitForReadyAsync(TimeSpan.FromHours(1), CancellationToken.None).AsTask()).ToList();
        Assert.All(waiters, w => Assert.False(w.IsCompleted));

        _etcd.IsDown = false;
        await AdvanceUntilAsync(() => waiters.TrueForAll(w => w.IsCompleted));

        Assert.All(waiters, static w => Assert.Single(w.Result.Instances));
    }

    [Fact]
    public async Task Waiters_are_released_when_the_application_stops()
    {
        _etcd.IsDown = true;
        var watcher = Watch();
        var waiter = watcher.WaitForReadyAsync(TimeSpan.FromHours(1), CancellationToken.None).AsTask();

        await watcher.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiter);
    }

    [Fact]
    public async Task A_lost_event_heals_by_the_regular_list()
    {
        var watcher = Watch();
        await Eventually.IsTrue(() => watcher.Status.IsConnected);

        _etcd.Commit(isLost: true, ("services/svc/a", Value("10.0.0.1:80")));
        _etcd.Progress();
        await Eventually.IsTrue(() => watcher.Status.Revision == _etcd.Revision);
        Assert.Empty(watcher.Feed.Current!.Instances);
        _clock.Advance(TimeSpan.FromMinutes(6));

        await Eventually.IsTrue(() => watcher.Feed.Current!.Count == 1);
        Assert.Equal(ServiceChangeReason.Reconciled, watcher.Feed.Current!.Reason);
    }

    [Fact]
    public async Task A_regular_list_that_fails_stops_neither_the_watch_nor_the_next_try()
    {
        var watcher = Watch();
        await Eventually.IsTrue(() => watcher.Status.IsConnected);
        _etcd.IsDown = true;
        _clock.Advance(TimeSpan.FromMinutes(6));
        await Eventually.IsTrue(() => watcher.Status.LastError is not null);

        Put("10.0.0.1:80");
        await Eventually.IsTrue(() => watcher.Feed.Current!.Count == 1);

        _etcd.Commit(isLost: true, ("services/svc/b", Value("10.0.0.2:80")));
        _etcd.IsDown = false;
        await AdvanceUntilAsync(() => watcher.Feed.Current!.Count == 2);
    }

    [Fact]
    public async Task After_an_interruption_it_lists_again_within_a_tenth_of_the_interval()
    {
        var watcher = Watch();
        await Eventually.IsTrue(() => watcher.Status.IsConnected);
        var lists = _etcd.Lists;

        _etcd.Disconnect();
        await Eventually.IsTrue(() => !watcher.Status.IsConnected);
        _etcd.Connect();
        await Eventually.IsTrue(() => watcher.Status.IsConnected);
        _clock.Advance(TimeSpan.FromSeconds(31));

        await Eventually.IsTrue(() => _etcd.Lists == lists + 1);
    }

    [Fact]
    public async Task A_regular_list_that_takes_long_stops_no_event_and_events_beside_it_cost_no_further_list()
    {
        Put("10.0.0.1:80");
        var watcher = Watch();
        await Eventually.IsTrue(() => watcher.Status.IsConnected);
        var (lists, answer) = (_etcd.Lists, new TaskCompletionSource());
        _etcd.ListsWaitFor = answer.Task;
        _clock.Advance(TimeSpan.FromMinutes(6));
        await Eventually.IsTrue(() => _etcd.Lists == lists + 1);

        Put("10.0.0.2:80");
        _etcd.Delete("services/svc/10.0.0.1:80");
        await Eventually.IsTrue(() => watcher.Feed.Current!.Instances.Select(static i => i.Address).ToList() is ["10.0.0.2:80"]);
        answer.SetResult();
        Put("10.0.0.3:80");
        await Eventually.IsTrue(() => watcher.Feed.Current!.Count == 2);
        await Eventually.IsTrue(() =>
        {
            _clock.Advance(TimeSpan.FromMinutes(1));
            return _etcd.Lists > lists + 1;
        });

        Assert.Equal((ServiceChangeReason.Watched, 1), (watcher.Feed.Current!.Reason, _etcd.Watches));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_list_under_way_when_the_watch_breaks_off_takes_back_nothing_that_was_seen_after_it(bool isUnavailable)
    {
        Put("10.0.0.1:80");
        var watcher = Watch();
        await Eventually.IsTrue(() => watcher.Status.IsConnected);
        var (lists, answer, published) = (_etcd.Lists, new TaskCompletionSource(), new ConcurrentQueue<int>());
        _etcd.ListsWaitFor = answer.Task;
        _clock.Advance(TimeSpan.FromMinutes(6));
        await Eventually.IsTrue(() => _etcd.Lists == lists + 1);

        Put("10.0.0.2:80");
        await Eventually.IsTrue(() => watcher.Feed.Current!.Count == 2);
        watcher.Feed.Published += s => published.Enqueue(s.Count);
        _etcd.Disconnect();
        if (isUnavailable)
        {
            _etcd.SayUnavailable();
        }

        await Eventually.IsTrue(() => !watcher.Status.IsConnected);
        answer.SetResult();
        await Eventually.IsTrue(() =>
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            _etcd.Connect();
            return watcher.Status.IsConnected && _etcd.Lists > lists + 1;
        });

        Assert.DoesNotContain(1, published);
        Assert.Equal(2, watcher.Feed.Current!.Count);
    }

    [Fact]
    public async Task While_no_watch_can_be_opened_it_is_listed_every_few_seconds_and_says_so()
    {
        Put("10.0.0.1:80");
        var watcher = Watch();
        await Eventually.IsTrue(() => watcher.Status.IsConnected);
        _etcd.Disconnect();
        _etcd.SayUnavailable();

        Put("10.0.0.2:80");
        await AdvanceUntilAsync(() => watcher.Feed.Current!.Count == 2);
        Put("10.0.0.3:80");
        var lists = _etcd.Lists;
        await AdvanceUntilAsync(() => watcher.Feed.Current!.Count == 3);
        Assert.InRange(_etcd.Lists - lists, 1, 2);
        Assert.Equal((false, ServiceChangeReason.Reconciled), (watcher.Status.IsConnected, watcher.Feed.Current!.Reason));
        Assert.Single(_log.At(LogLevel.Information), static l => l.Contains("listed every few seconds", StringComparison.Ordinal));

        // The watch, which stands where it broke off, is given up for one from a list on.
        (lists, var watches) = (_etcd.Lists, _etcd.Watches);
        _etcd.Connect();
        await Eventually.IsTrue(() => watcher.Status.IsConnected && _etcd.Watches == watches + 1);
        Assert.Equal(lists + 1, _etcd.Lists);
        Put("10.0.0.4:80");
        await Eventually.IsTrue(() => watcher.Feed.Current!.Count == 4);
    }

    [Fact]
    public async Task While_the_watch_is_refused_it_is_listed_every_few_seconds_too_and_the_log_is_not_flooded()
    {
        Put("10.0.0.1:80");
        var watcher = Watch();
        await Eventually.IsTrue(() => watcher.Status.IsConnected);
        var watches = _etcd.Watches;
        _etcd.Disconnect();
        for (var i = 0; i < 50; i++)
        {
            _etcd.Reject();
        }

        Put("10.0.0.2:80");
        await AdvanceUntilAsync(() => watcher.Feed.Current!.Count == 2);
        Assert.Equal((false, ServiceChangeReason.Reconciled), (watcher.Status.IsConnected, watcher.Feed.Current!.Reason));
        Put("10.0.0.3:80");
        await AdvanceUntilAsync(() => watcher.Feed.Current!.Count == 3);

        _etcd.Connect();
        await Eventually.IsTrue(() => watcher.Status.IsConnected && _etcd.Watches == watches + 1);
        Assert.Equal(20, _log.At(LogLevel.Warning).Count(static l => l.Contains("etcd refuses the watch of service 'svc'", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_key_that_is_no_text_goes_with_its_own_deletion_only()
    {
        var feed = new SnapshotFeed();
        var state = new ServiceState("svc", new EtcdNamingLayout(null), TimeSpan.FromMinutes(5), feed, _clock, NullLogger.Instance);
        EtcdKeyValue Bad(byte end, long revision) => Record("services/svc/", "10.0.0.1:80", revision) with { KeyBytes = (byte[])[.. "services/svc/"u8, end] };
        EtcdListing Listing(long revision, params EtcdKeyValue[] records) => new() { Items = records, Revision = revision, ClusterId = 1 };
        var good = Record("services/svc/\ufffd", "10.0.0.2:80", 1);

        state.Apply(Listing(3, Bad(0xfe, 2), Bad(0xff, 3), good), ServiceChangeReason.Listed);
        Assert.Equal((2, 1), (state.SkippedRecords, feed.Current!.Count));

        state.Apply(new EtcdWatchUpdate { Kind = EtcdWatchUpdateKind.Changed, Revision = 4, Events = [new EtcdWatchEvent { Deleted = true, Record = Bad(0xff, 4) }] });
        Assert.Equal((1, 1), (state.SkippedRecords, feed.Current.Count));

        state.Apply(Listing(5, good), ServiceChangeReason.Reconciled);
        Assert.Equal((0, "10.0.0.2:80"), (state.SkippedRecords, Assert.Single(feed.Current.Instances).Address));
    }

    [Fact]
    public async Task Compaction_flaps_nobody()
    {
        Put("10.0.0.1:80");
        Put("10.0.0.2:80");
        var watcher = Watch();
        await Eventually.IsTrue(() => watcher.Status.IsConnected);
        var published = new List<ServiceSnapshot>();
        watcher.Feed.Published += published.Add;

        _etcd.Disconnect();
        Put("10.0.0.3:80");
        _etcd.Compact();
        _etcd.Connect();
        await AdvanceUntilAsync(() => watcher.Status.IsConnected && watcher.Status.Revision == _etcd.Revision);

        var only = Assert.Single(published);
        Assert.Equal((3, ServiceChangeReason.Reconciled), (only.Count, only.Reason));
    }

    [Fact]
    public async Task Skipped_records_are_counted_though_no_instance_changes_and_each_is_logged_once()
    {
        var watcher = Watch();
        await Eventually.IsTrue(() => watcher.Status.IsConnected);

        _etcd.Put("services/svc/bad", [1]);
        await Eventually.IsTrue(() => watcher.Status.SkippedRecords == 1);
        _etcd.Put("services/svc/bad", [2]);
        await Eventually.IsTrue(() => watcher.Status.Revision == _etcd.Revision);
        Assert.Equal(1, watcher.Status.SkippedRecords);
        _etcd.Delete("services/svc/bad");
        await Eventually.IsTrue(() => watcher.Status.SkippedRecords == 0);

        Assert.Single(_log.At(LogLevel.Warning), l => l.Contains("services/svc/bad", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_a_quorum_one_members_view_is_taken_and_replaced_by_the_clusters()
    {
        Put("10.0.0.1:80");
        _etcd.HasNoQuorum = true;
        var watcher = Watch();
        await AdvanceUntilAsync(() => watcher.Feed.Current is not null);
        Assert.Equal(ServiceChangeReason.ListedWithoutQuorum, watcher.Feed.Current!.Reason);

        // A member that was only slow looks the same from here.
        Assert.DoesNotContain("quorum", Assert.Single(_log.At(LogLevel.Warning), static l => l.Contains("one etcd member's own view", StringComparison.Ordinal)), StringComparison.Ordinal);

        Put("10.0.0.2:80");
        _etcd.HasNoQuorum = false;
        await AdvanceUntilAsync(() => watcher.Feed.Current!.Count == 2);
        Assert.Equal(ServiceChangeReason.Reconciled, watcher.Feed.Current!.Reason);
    }

    [Fact]
    public async Task The_snapshot_on_disk_is_written_after_a_change_but_not_while_instances_are_held()
    {
        var file = new SnapshotFile(_directory, "svc", "services/svc/", TimeProvider.System, _log);
        Put("10.0.0.1:80");
        var watcher = Watch();
        await Eventually.IsTrue(() => watcher.Status.IsConnected);
        await AdvanceUntilAsync(() => file.TryRead(out var saved) && saved.Items.Count == 1);

        _etcd.Delete("services/svc/10.0.0.1:80");
        await Eventually.IsTrue(() => watcher.Feed.Current!.Held.Count == 1);
        await watcher.DisposeAsync();
        Assert.True(file.TryRead(out var still));
        Assert.Single(still.Items);
    }

    [Fact]
    public async Task What_changed_just_before_most_of_the_service_vanished_does_not_get_a_shrunken_list_written()
    {
        var file = new SnapshotFile(_directory, "svc", "services/svc/", TimeProvider.System, _log);
        string[] addresses = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"];
        Array.ForEach(addresses, Put);
        var watcher = Watch();
        await Eventually.IsTrue(() => watcher.Status.IsConnected);
        await AdvanceUntilAsync(() => file.TryRead(out var saved) && saved.Items.Count == 3);

        // One that crashes is believed, and is to be written in a second; before that, the others go.
        _etcd.Delete("services/svc/10.0.0.1:80");
        await Eventually.IsTrue(() => watcher.Feed.Current!.Count == 2);
        _etcd.Delete("services/svc/10.0.0.2:80", "services/svc/10.0.0.3:80");
        await Eventually.IsTrue(() => watcher.Feed.Current!.Held.Count == 3);
        await watcher.DisposeAsync();

        Assert.True(file.TryRead(out var still));
        Assert.Equal(3, still.Items.Count);
    }

    [Fact]
    public async Task A_hostile_record_gets_one_short_line_and_a_prefix_full_of_them_a_summary()
    {
        _etcd.Put("services/svc/a\nb", Encoding.UTF8.GetBytes($$"""{"Addr":"{{new string('x', 1_000_000)}}"}"""));
        _etcd.Put("services/svc/c", Encoding.UTF8.GetBytes("""{"Addr":"x\nwarn: forged"}"""));
        for (var i = 0; i < 150; i++)
        {
            _etcd.Put($"services/svc/bad{i}", [(byte)'\n', 0xff]);
        }

        var watcher = Watch();
        await Eventually.IsTrue(() => watcher.Status.SkippedRecords == 152);

        var lines = _log.At(LogLevel.Warning).ToList();
        Assert.Equal(101, lines.Count);
        Assert.All(lines, static l => Assert.InRange(l.Length, 1, 500));
        Assert.DoesNotContain(lines, static l => l.Contains('\n', StringComparison.Ordinal));
        Assert.Contains(lines, static l => l.Contains("services/svc/a\\u000ab", StringComparison.Ordinal));
        Assert.Single(lines, static l => l.Contains("others are only counted", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_was_read_from_disk_is_published_again_when_the_cluster_confirms_it()
    {
        Put("10.0.0.1:80");
        var first = Watch();
        await Eventually.IsTrue(() => first.Status.IsConnected);
        await first.DisposeAsync();
        _etcd.IsDown = true;
        var second = Watch();
        await AdvanceUntilAsync(() => second.Feed.Current is not null);
        Assert.Equal(ServiceChangeReason.ReadFromDisk, second.Feed.Current!.Reason);
        Assert.True(_log.Has(LogLevel.Warning, "the snapshot on disk, which is 0 min old"));

        _etcd.IsDown = false;
        await AdvanceUntilAsync(() => second.Status.IsConnected);

        Assert.Equal((ServiceChangeReason.Reconciled, 1), (second.Feed.Current!.Reason, second.Feed.Current.Count));
    }

    [Fact]
    public void A_change_costs_work_for_itself_not_for_the_size_of_the_service()
    {
        const int Changes = 1000;
        var feed = new SnapshotFeed();
        var state = new ServiceState("svc", new EtcdNamingLayout(null), TimeSpan.FromMinutes(5), feed, _clock, NullLogger.Instance);
        var listed = Enumerable.Range(0, 10_000).Select(i => Record($"services/svc/{i}", $"10.1.{i / 250}.{(i % 250) + 1}:80", 1));
        state.Apply(new EtcdListing { Items = [.. listed], Revision = 1, ClusterId = 1 }, ServiceChangeReason.Listed);
        Assert.Equal(10_000, feed.Current!.Count);
        var before = GC.GetAllocatedBytesForCurrentThread();

        for (var i = 2; i < 2 + Changes; i++)
        {
            state.Apply(new EtcdWatchUpdate
            {
                Kind = EtcdWatchUpdateKind.Changed,
                Revision = i,
                Events = [new EtcdWatchEvent { Deleted = false, Record = Record("services/svc/new", "10.9.9.9:80", i) }],
            });
        }

        // A copy of the service for each would be hundreds of kilobytes.
        Assert.Equal(1 + Changes, feed.Current!.Revision);
        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / Changes, 0, 20_000);
    }

    private static EtcdKeyValue Record(string key, string address, long revision)
        => new()
        {
            KeyBytes = Encoding.UTF8.GetBytes(key),
            Value = Value(address),
            CreateRevision = revision,
            ModRevision = revision,
            Version = 1,
        };

    private static byte[] Value(string address) => Encoding.UTF8.GetBytes($$"""{"Addr":"{{address}}"}""");

    private void Put(string address) => _etcd.Put($"services/svc/{address}", Value(address));

    private ServiceWatcher Watch()
    {
        var lister = new ServiceLister(_etcd, _clock);
        var options = new EtcdDiscoveryOptions { SnapshotDirectory = _directory, ReadyTimeout = TimeSpan.FromHours(1) };
        var watcher = new ServiceWatcher("svc", new EtcdNamingLayout(null), options, _etcd, lister, _clock, new Logger<ServiceWatcher>(new LoggerFactory([_log])));
        _watchers.Add(watcher);
        return watcher;
    }

    private Task AdvanceUntilAsync(Func<bool> condition) => Eventually.IsTrue(() =>
    {
        _clock.Advance(TimeSpan.FromMilliseconds(100));
        return condition();
    });
}
