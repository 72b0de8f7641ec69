using System.Collections.Concurrent;
using Discovery.Etcd;
using Xunit.Abstractions;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>What others, and fate, do to a lease and its keys.</summary>
public sealed class KeeperTests(OneNode node, ITestOutputHelper output) : IClassFixture<OneNode>
{
    private static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_lease_revoked_from_outside_is_replaced_at_once_with_all_keys()
    {
        await using var client = node.Connect();
        var prefix = NewPrefix();
        await using var keeper = client.KeepLease(TimeToLive);
        var states = new ConcurrentQueue<EtcdLeaseState>();
        keeper.StatusChanged += s => states.Enqueue(s.State);
        keeper.Put(prefix + "a", Bytes("1"));
        keeper.Put(prefix + "b", Bytes("2"));
        await keeper.FlushAsync();
        await OwnKeysAreWatched(client, prefix);
        var old = keeper.Status.LeaseId;

        var since = TimeProvider.System.GetTimestamp();
        await Etcdctl.RunAsync(node.Etcd.Endpoint, "lease", "revoke", $"{old:x}");
        await Eventually.IsTrue(async () => (await client.ListAsync(prefix)).Items is { Count: 2 } items && items.All(i => i.LeaseId != old));

        output.WriteLine($"back after {TimeProvider.System.GetElapsedTime(since).TotalMilliseconds:0} ms");
        Assert.InRange(TimeProvider.System.GetElapsedTime(since), TimeSpan.Zero, TimeSpan.FromSeconds(10));
        await Eventually.IsTrue(() => keeper.Status is { State: EtcdLeaseState.Held, KeysStored: 2 });
        Assert.NotEqual(old, keeper.Status.LeaseId);
        var seen = states.ToArray();
        Assert.Equal(
            [EtcdLeaseState.Granting, EtcdLeaseState.Held, EtcdLeaseState.Lost, EtcdLeaseState.Granting, EtcdLeaseState.Held],
            seen.Where((s, i) => i == 0 || s != seen[i - 1]));
    }

    [Fact]
    public async Task A_key_deleted_from_outside_is_put_again_under_the_same_lease()
    {
        await using var client = node.Connect();
        var prefix = NewPrefix();
        await using var keeper = client.KeepLease(TimeToLive);
        keeper.Put(prefix + "a", Bytes("1"));
        await keeper.FlushAsync();
        var lease = keeper.Status.LeaseId;

        for (var i = 0; i < 3; i++)
        {
            Assert.True(await client.DeleteAsync(prefix + "a"));
            await Eventually.IsTrue(async () => await client.GetAsync(prefix + "a") is { } record && record.LeaseId == lease);
        }

        Assert.Equal(lease, keeper.Status.LeaseId);
    }

    [Fact]
    public async Task A_key_taken_over_by_a_successor_is_left_to_it_even_at_the_end()
    {
        await using var client = node.Connect();
        var key = NewPrefix() + "a";
        await using var old = client.KeepLease(TimeToLive);
        await using var watch = client.Watch(key, 0);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));
        var taken = new TaskCompletionSource<EtcdKeyValue>();
        old.KeyConflict += r => taken.TrySetResult(r);
        old.Put(key, Bytes("old"));
        await old.FlushAsync();

        await using var successor = client.KeepLease(TimeToLive);
        successor.Put(key, Bytes("new"));
        await successor.FlushAsync();

        Assert.Equal("new", Text((await taken.Task.WaitAsync(TimeSpan.FromSeconds(30))).Value));
        await Eventually.IsTrue(() => old.Status.KeysStored == 0);
        await old.StopAsync();
        var record = await client.GetAsync(key);
        Assert.Equal(("new", successor.Status.LeaseId), (Text(record!.Value), record.LeaseId));

        // There was no fight over it either.
        await client.DeleteAsync(key);
        await Eventually.IsTrue(() => log.Events.Any(e => e.Deleted));
        Assert.Equal(["old", "new", ""], log.Events.Take(3).Select(e => Text(e.Record.Value)));
    }

    [Fact]
    public async Task A_key_that_was_taken_is_put_again_when_its_user_says_so()
    {
        await using var client = node.Connect();
        var key = NewPrefix() + "a";
        await using var keeper = client.KeepLease(TimeToLive);
        keeper.Put(key, Bytes("1"));
        await keeper.FlushAsync();
        await client.PutAsync(key, Bytes("foreign"));
        await Eventually.IsTrue(() => keeper.Status.KeysStored == 0);

        keeper.Put(key, Bytes("2"));
        await keeper.FlushAsync();

        Assert.Equal("2", Text((await client.GetAsync(key))!.Value));
    }

    [Fact]
    public async Task The_last_of_many_quick_puts_is_what_stands()
    {
        await using var client = node.Connect();
        var key = NewPrefix() + "a";
        await using var keeper = client.KeepLease(TimeToLive);
        for (var i = 0; i <= 500; i++)
        {
            keeper.Put(key, Bytes($"{i}"));
            if (i % 50 == 0)
            {
                await keeper.FlushAsync();
                Assert.Equal($"{i}", Text((await client.GetAsync(key))!.Value));
            }
        }

        keeper.Remove(key);
        keeper.Put(key, Bytes("end"));
        await keeper.FlushAsync();
        Assert.Equal("end", Text((await client.GetAsync(key))!.Value));
    }

    [Fact]
    public async Task A_machine_that_slept_renews_its_lease_as_soon_as_it_wakes_up()
    {
        var clock = new JumpingClock();
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [node.Etcd.Endpoint] }, timeProvider: clock);
        await using var keeper = client.KeepLease(TimeToLive);
        keeper.Put(NewPrefix() + "a", Bytes("1"));
        await keeper.FlushAsync();

        // The next renewal is due after 20 s. One that comes after 3 s is due to the wall clock's jump.
        await Eventually.IsTrue(() => keeper.Status.Remaining < TimeToLive - TimeSpan.FromSeconds(3));
        clock.Sleep(TimeSpan.FromSeconds(30));

        await Eventually.IsTrue(() => keeper.Status.Remaining > TimeToLive - TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(12));
        Assert.Equal(EtcdLeaseState.Held, keeper.Status.State);
    }

    [Fact]
    public async Task A_process_paused_for_longer_than_its_lease_does_not_believe_in_it_any_more()
    {
        var clock = new JumpingClock();
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [node.Etcd.Endpoint] }, timeProvider: clock);
        var key = NewPrefix() + "a";
        await using var keeper = client.KeepLease(TimeToLive);
        keeper.Put(key, Bytes("1"));
        await keeper.FlushAsync();
        var old = keeper.Status.LeaseId;

        // The next timer comes late, as after SIGCONT. etcd, whose clock did not jump, still knows the lease; we must not rely on it.
        clock.Jump(TimeToLive + TimeSpan.FromSeconds(1));

        await Eventually.IsTrue(async () => await client.GetAsync(key) is { } record && record.LeaseId != old);
        await Eventually.IsTrue(() => keeper.Status is { State: EtcdLeaseState.Held, KeysStored: 1 });
        await keeper.StopAsync();
        Assert.Null(await client.GetAsync(key));
        Assert.Null(await client.RenewLeaseAsync(old));
    }

    [Fact]
    public async Task A_process_stopped_for_longer_than_its_lease_is_registered_again_within_a_second_of_its_return()
    {
        await using var client = node.Connect();
        var key = NewPrefix() + "a";
        await using var process = await OwnedProcess.StartAsync(
            Environment.ProcessPath!, [typeof(KeeperTests).Assembly.Location, "keep", node.Etcd.Endpoint, key, "2"]);
        await Eventually.IsTrue(async () =>
        {
            process.ThrowIfExited();
            return await client.GetAsync(key) is not null;
        });
        var old = (await client.GetAsync(key))!.LeaseId;

        await process.PauseAsync();
        await Eventually.IsTrue(async () => await client.GetAsync(key) is null);
        var since = TimeProvider.System.GetTimestamp();
        await process.ResumeAsync();
        await Eventually.IsTrue(async () => await client.GetAsync(key) is not null);

        var took = TimeProvider.System.GetElapsedTime(since);
        output.WriteLine($"registered again {took.TotalMilliseconds:0} ms after SIGCONT");
        Assert.InRange(took, TimeSpan.Zero, TimeSpan.FromSeconds(2));
        Assert.NotEqual(old, (await client.GetAsync(key))!.LeaseId);
    }

    // The keeper begins to watch a key right after its first put; a put that it repairs shows that it does.
    private static async Task OwnKeysAreWatched(EtcdClient client, string prefix)
    {
        foreach (var item in (await client.ListAsync(prefix)).Items)
        {
            await client.DeleteAsync(item.Key);
            await Eventually.IsTrue(async () => await client.GetAsync(item.Key) is not null);
        }
    }

    /// <summary>The system's clock, which can jump: as a whole after a process was stopped, its wall time alone after a machine slept.</summary>
    private sealed class JumpingClock : TimeProvider
    {
        private TimeSpan _stopped;
        private TimeSpan _slept;

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + _stopped + _slept;

        public override long GetTimestamp() => base.GetTimestamp() + (long)(_stopped.TotalSeconds * TimestampFrequency);

        public void Jump(TimeSpan time) => _stopped += time;

        public void Sleep(TimeSpan time) => _slept += time;
    }
}
