using System.Globalization;
using System.Text;
using Discovery.EmbeddedEtcd;
using Grpc.Core;

namespace Discovery.Etcd.Tests.Following;

/// <summary>Following a prefix on an etcd that changes, breaks, forgets and goes away.</summary>
public sealed class FollowTests : IAsyncLifetime
{
    private EmbeddedEtcdServer _etcd = null!;
    private TcpProxy _proxy = null!;
    private EtcdClient _direct = null!;
    private EtcdClient _client = null!;

    public async Task InitializeAsync()
    {
        _etcd = await EmbeddedEtcdServer.StartAsync();
        _proxy = TcpProxy.Start(new Uri(_etcd.Endpoint).Port);
        _direct = new EtcdClient(new EtcdClientOptions { Endpoints = [_etcd.Endpoint] });
        _client = new EtcdClient(new EtcdClientOptions { Endpoints = [_proxy.Endpoint], RequestTimeout = TimeSpan.FromSeconds(1) });
    }

    public async Task DisposeAsync()
    {
        await _client.DisposeAsync();
        await _direct.DisposeAsync();
        await _proxy.DisposeAsync();
        await _etcd.DisposeAsync();
    }

    [Fact]
    public async Task The_whole_state_comes_first_and_then_after_each_change()
    {
        await PutAsync("p/b", "1");
        await PutAsync("q/b", "x");
        await using var reader = new Reader(_client, "p/");
        await Eventually.IsTrue(() => reader.Latest == "p/b=1");

        await PutAsync("p/a", "2");
        await Eventually.IsTrue(() => reader.Latest == "p/a=2 p/b=1");
        await _direct.DeleteAsync("p/b");
        await Eventually.IsTrue(() => reader.Latest == "p/a=2");

        Assert.Equal(3, reader.Snapshots.Count);
        Assert.Equal(_etcd.Revision, reader.Snapshots[^1].Revision);
        Assert.Equal(EtcdFollowStatusKind.Watching, Assert.Single(reader.Statuses).Kind);
    }

    [Fact]
    public async Task A_prefix_without_keys_is_a_state_too()
    {
        await using var reader = new Reader(_client, "none/");

        await Eventually.IsTrue(() => reader.Snapshots.Count == 1);

        Assert.Empty(reader.Snapshots[0].Items);
    }

    [Fact]
    public async Task Transactions_are_never_torn_whatever_breaks_meanwhile()
    {
        const int Writes = 400;
        await PutPairAsync(0);
        await using var reader = new Reader(_client, "p/");

        for (var i = 1; i <= Writes; i++)
        {
            await PutPairAsync(i);
            if (i % 50 == 0)
            {
                _proxy.CutAll();
            }

            if (i % 120 == 0)
            {
                _etcd.Compact();
            }
        }

        await Eventually.IsTrue(() => reader.Latest == $"p/a={Writes} p/b={Writes}");
        Assert.All(reader.Snapshots, s => Assert.Equal(ValueOf(s, "p/a"), ValueOf(s, "p/b")));
        Assert.Equal(reader.Snapshots.Select(s => s.Revision).Order(), reader.Snapshots.Select(s => s.Revision));
    }

    [Fact]
    public async Task A_slow_reader_gets_the_newest_state()
    {
        await PutAsync("p/a", "0");
        await using var reading = _client.FollowAsync("p/").GetAsyncEnumerator();
        Assert.True(await reading.MoveNextAsync());
        await using var quick = new Reader(_client, "p/");

        for (var i = 1; i <= 50; i++)
        {
            await PutAsync("p/a", i.ToString(CultureInfo.InvariantCulture));
        }

        await Eventually.IsTrue(() => quick.Latest == "p/a=50");
        var read = 0;
        do
        {
            Assert.True(await reading.MoveNextAsync());
            read++;
        }
        while (Reader.TextOf(reading.Current) != "p/a=50");

        // The other reader may have been a little ahead of this one's follower.
        Assert.InRange(read, 1, 20);
    }

    [Fact]
    public async Task A_compaction_while_disconnected_gives_the_difference_and_only_if_there_is_one()
    {
        await PutAsync("p/a", "1");
        await using var reader = new Reader(_client, "p/");
        await Eventually.IsTrue(() => reader.Status == EtcdFollowStatusKind.Watching);

        await DisconnectAsync(async () =>
        {
            await PutAsync("other", "x");
            await PutAsync("other", "y");
            _etcd.Compact();
        });
        await PutAsync("p/a", "2");
        await Eventually.IsTrue(() => reader.Latest == "p/a=2");
        Assert.Equal(2, reader.Snapshots.Count);

        await DisconnectAsync(async () =>
        {
            await _direct.DeleteAsync("p/a");
            await PutAsync("p/b", "3");
            _etcd.Compact();
        });
        await Eventually.IsTrue(() => reader.Latest == "p/b=3");
    }

    [Fact]
    public async Task An_etcd_that_is_away_at_the_start_is_waited_for_and_the_cause_is_told()
    {
        _proxy.Refuses = true;
        await using var reader = new Reader(_client, "p/");
        await Eventually.IsTrue(() => reader.Status == EtcdFollowStatusKind.Unavailable);
        Assert.Empty(reader.Snapshots);
        Assert.Contains(_proxy.Endpoint, reader.Statuses[^1].Error!.Message, StringComparison.Ordinal);

        await PutAsync("p/a", "1");
        _proxy.Refuses = false;

        await Eventually.IsTrue(() => reader.Latest == "p/a=1" && reader.Status == EtcdFollowStatusKind.Watching);
        Assert.Null(reader.Statuses[^1].Error);
    }

    [Fact]
    public async Task That_etcd_is_away_is_told_long_before_an_operation_gives_up()
    {
        _proxy.Refuses = true;
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [_proxy.Endpoint], RequestTimeout = TimeSpan.FromMinutes(5) });
        await using var reader = new Reader(client, "p/");

        await Eventually.IsTrue(() => reader.Status == EtcdFollowStatusKind.Unavailable);

        Assert.Contains(_proxy.Endpoint, reader.Statuses[^1].Error!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_outage_leaves_the_last_state_and_what_changed_meanwhile_follows()
    {
        await PutAsync("p/a", "1");
        await using var reader = new Reader(_client, "p/");
        await Eventually.IsTrue(() => reader.Status == EtcdFollowStatusKind.Watching);

        _proxy.Refuses = true;
        _proxy.CutAll();
        await PutAsync("p/a", "2");
        await Eventually.IsTrue(() => reader.Status == EtcdFollowStatusKind.Unavailable);
        Assert.Equal("p/a=1", reader.Latest);
        _proxy.Refuses = false;

        await Eventually.IsTrue(() => reader.Latest == "p/a=2" && reader.Status == EtcdFollowStatusKind.Watching);
    }

    [Fact]
    public async Task While_watches_are_refused_the_prefix_is_listed_and_then_watched_again()
    {
        _etcd.Fail(40, StatusCode.Unavailable, "etcdserver: no leader", "Watch");
        await using var reader = new Reader(_client, "p/");
        await Eventually.IsTrue(() => reader.Status == EtcdFollowStatusKind.Polling);

        await PutAsync("p/a", "1");
        await Eventually.IsTrue(() => reader.Latest == "p/a=1");
        Assert.Equal(EtcdFollowStatusKind.Polling, reader.Status);
        Assert.Contains("no leader", reader.Statuses[^1].Error!.Message, StringComparison.Ordinal);

        await Eventually.IsTrue(() => reader.Status == EtcdFollowStatusKind.Watching);
        await PutAsync("p/a", "2");
        await Eventually.IsTrue(() => reader.Latest == "p/a=2");
    }

    [Fact]
    public async Task A_wiped_cluster_replaces_the_state_although_its_revision_is_lower()
    {
        for (var i = 0; i < 20; i++)
        {
            await PutAsync("p/old", "x");
        }

        await using var reader = new Reader(_client, "p/");
        await Eventually.IsTrue(() => reader.Status == EtcdFollowStatusKind.Watching);
        var port = new Uri(_etcd.Endpoint).Port;
        await _etcd.DisposeAsync();

        _etcd = await EmbeddedEtcdServer.StartAsync(new EmbeddedEtcdOptions { Port = port });
        await Eventually.IsTrue(() => reader.Latest == "");
        await PutAsync("p/new", "y");

        await Eventually.IsTrue(() => reader.Latest == "p/new=y");
        Assert.True(reader.Snapshots[^1].Revision < reader.Snapshots[0].Revision);
        Assert.NotEqual(reader.Snapshots[^1].ClusterId, reader.Snapshots[0].ClusterId);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Cancellation_ends_it_at_once_also_while_etcd_does_not_answer(bool isReady)
    {
        if (isReady)
        {
            await using var first = new Reader(_client, "p/");
            await Eventually.IsTrue(() => first.Status == EtcdFollowStatusKind.Watching);
        }

        _etcd.Pause();
        var reader = new Reader(_client, "p/");

        await reader.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10));

        Assert.True(reader.Reading.IsCanceled);
        _etcd.Resume();
    }

    [Fact]
    public async Task Leaving_the_loop_ends_the_watch()
    {
        await foreach (var snapshot in _client.FollowAsync("p/"))
        {
            await Eventually.IsTrue(() => _etcd.Watchers == 1);
            break;
        }

        await Eventually.IsTrue(() => _etcd.Watchers == 0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_end_of_the_client_ends_it_without_an_error(bool isAway)
    {
        _proxy.Refuses = isAway;
        await using var reader = new Reader(_client, "p/");
        await Eventually.IsTrue(() => reader.Status == (isAway ? EtcdFollowStatusKind.Unavailable : EtcdFollowStatusKind.Watching));

        await _client.DisposeAsync();

        await reader.Reading.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Throws<ObjectDisposedException>(() => _client.FollowAsync("p/"));
    }

    [Fact]
    public async Task What_a_callback_throws_reaches_the_reader()
    {
        var options = new EtcdFollowOptions { OnStatusChanged = _ => throw new InvalidOperationException("mine") };

        var thrown = await Assert.ThrowsAsync<InvalidOperationException>(async () =>
        {
            await foreach (var _ in _client.FollowAsync("p/", options))
            {
                // The first snapshot comes before the status.
            }
        });

        Assert.Equal("mine", thrown.Message);
    }

    [Fact]
    public void A_wrong_interval_is_named()
    {
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => _client.FollowAsync("p/", new EtcdFollowOptions { RelistInterval = TimeSpan.Zero }));

        Assert.Contains("EtcdFollowOptions.RelistInterval must be between 1 s and 1 day, e.g. 00:05:00", error.Message, StringComparison.Ordinal);
    }

    private static string ValueOf(EtcdPrefixSnapshot snapshot, string key) => Encoding.UTF8.GetString(snapshot.Items[key].Value.Span);

    private async Task PutAsync(string key, string value) => await _direct.PutAsync(key, Encoding.UTF8.GetBytes(value));

    private async Task PutPairAsync(int value)
    {
        var bytes = Encoding.UTF8.GetBytes(value.ToString(CultureInfo.InvariantCulture));
        await _direct.ExecuteAsync(new EtcdTransaction { Then = { EtcdOperation.Put("p/a", bytes), EtcdOperation.Put("p/b", bytes) } });
    }

    private async Task DisconnectAsync(Func<Task> meanwhile)
    {
        _proxy.Refuses = true;
        _proxy.CutAll();
        await meanwhile();
        _proxy.Refuses = false;
    }
}
