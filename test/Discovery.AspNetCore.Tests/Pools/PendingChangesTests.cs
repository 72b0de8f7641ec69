using System.Collections.Immutable;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Watching;

namespace Discovery.AspNetCore.Tests.Pools;

public sealed class PendingChangesTests
{
    private readonly SnapshotFeed _feed = new();
    private readonly PendingChanges _pending;

    public PendingChangesTests() => _pending = new PendingChanges(_feed);

    [Fact]
    public void Nothing_is_known_of_the_first_snapshot()
    {
        Assert.Null(_pending.Take(out _));

        Publish(1, since: 0, "a");

        Assert.Equal(1, _pending.Take(out var changes)!.Id);
        Assert.Null(changes.Addresses);
    }

    [Fact]
    public void Changes_are_collected_until_they_are_taken()
    {
        Begin();
        Publish(2, since: 1, "a", "b");
        Publish(3, since: 2, "b", "c");

        Assert.Equal(3, _pending.Take(out var changes)!.Id);
        Assert.Equal(["a", "b", "c"], changes.Addresses!.Order());
        _pending.Take(out changes);
        Assert.Empty(changes.Addresses!);
    }

    [Fact]
    public void A_snapshot_that_was_taken_before_it_was_told_counts_once()
    {
        Begin();
        var snapshot = Publish(2, since: 1, isTold: false, "a");
        _pending.Take(out var changes);
        Assert.Equal(["a"], changes.Addresses!);

        _pending.Add(snapshot);
        Publish(3, since: 2, "b");

        _pending.Take(out changes);
        Assert.Equal(["b"], changes.Addresses!);
    }

    [Fact]
    public void After_one_that_was_missed_or_says_nothing_everything_may_be_different_once()
    {
        Begin();
        Publish(3, since: 2, "a");
        _pending.Take(out var changes);
        Assert.Null(changes.Addresses);

        Publish(0, since: null);
        _pending.Take(out changes);
        Assert.Null(changes.Addresses);
        _pending.Take(out changes);
        Assert.Null(changes.Addresses);

        Publish(4, since: 3, "b");
        Publish(5, since: 4, "c");
        _pending.Take(out changes);
        Assert.Null(changes.Addresses);
        Publish(6, since: 5, "d");
        _pending.Take(out changes);
        Assert.Equal(["d"], changes.Addresses!);
    }

    [Fact]
    public void Instances_are_told_once_and_everything_covers_them()
    {
        Begin();
        var instance = new InstanceState(ChangingService.Record(1));
        _pending.Add(instance);
        _pending.Add(instance);

        _pending.Take(out var changes);
        Assert.Equal([instance], changes.Instances);
        _pending.Take(out changes);
        Assert.Empty(changes.Instances);

        _pending.AddEverything();
        _pending.Take(out changes);
        Assert.Null(changes.Addresses);
    }

    private void Begin()
    {
        Publish(1, since: null);
        _pending.Take(out _);
    }

    private void Publish(long id, long? since, params string[] addresses) => Publish(id, since, isTold: true, addresses);

    private ServiceSnapshot Publish(long id, long? since, bool isTold, params string[] addresses)
    {
        var none = ImmutableDictionary<string, ServiceInstance>.Empty;
        var snapshot = new ServiceSnapshot("svc", none, none) { Id = id, Change = since is { } before ? new SnapshotChange(before, addresses) : null };
        _feed.Publish(snapshot);
        if (isTold)
        {
            _pending.Add(snapshot);
        }

        return snapshot;
    }
}
