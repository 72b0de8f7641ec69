using System.Text;
using Discovery.Etcd.Following;

namespace Discovery.Etcd.Tests.Following;

/// <summary>How lists and changes that overtake each other become one state.</summary>
public sealed class PrefixRecordsTests
{
    private readonly PrefixRecords _records = new("");

    [Fact]
    public void A_list_that_is_older_than_what_the_watch_brought_meanwhile_does_not_undo_it()
    {
        Take(ListOf(5, Put("a", 5)));

        _records.BeginList();
        Assert.True(_records.Apply(Change(7, Put("b", 7))));
        Assert.True(_records.Apply(Change(8, Deleted("a", 8))));

        Assert.False(_records.Take(ListOf(6, Put("a", 5))));
        Assert.Equal(["b"], _records.ToSnapshot().Items.Keys);
        Assert.Equal(8, _records.Revision);
    }

    [Fact]
    public void A_list_that_is_newer_than_the_watch_is_taken_and_the_late_events_are_not_applied_twice()
    {
        Take(ListOf(5, Put("a", 5)));

        Assert.True(Take(ListOf(9, Put("b", 9))));
        Assert.False(_records.Apply(Change(6, Put("c", 6))));
        Assert.False(_records.Apply(Change(9, Put("b", 9))));

        Assert.Equal(["b"], _records.ToSnapshot().Items.Keys);
    }

    [Fact]
    public void A_list_that_shows_what_is_known_is_no_news()
    {
        Take(ListOf(5, Put("a", 5)));
        var before = _records.ToSnapshot().Items;

        Assert.False(Take(ListOf(8, Put("a", 5))));

        Assert.Same(before, _records.ToSnapshot().Items);
        Assert.Equal(8, _records.Revision);
    }

    [Fact]
    public void An_event_that_the_watch_lost_is_found_by_a_list()
    {
        Take(ListOf(5, Put("a", 5)));
        Assert.True(_records.Apply(Change(8, Put("c", 8))));

        Assert.True(Take(ListOf(8, Put("a", 5), Put("b", 7), Put("c", 8))));
        Assert.Equal(["a", "b", "c"], _records.ToSnapshot().Items.Keys);
    }

    [Theory]
    [InlineData(4, 1)]
    [InlineData(9, 2)]
    public void A_list_of_another_history_replaces_everything(long revision, ulong cluster)
    {
        Take(ListOf(5, Put("a", 5)));
        _records.BeginList();
        Assert.True(_records.Apply(Change(10, Put("b", 10))));
        var listing = ListOf(revision, Put("z", 2)) with { ClusterId = cluster };

        Assert.False(_records.Continues(listing));
        Assert.True(_records.Take(listing));

        Assert.Equal(["z"], _records.ToSnapshot().Items.Keys);
        Assert.Equal(revision, _records.Revision);
    }

    [Fact]
    public void The_same_revision_with_another_value_is_news_as_after_a_restore()
    {
        Take(ListOf(5, Put("a", 5, "x")));

        Assert.True(Take(ListOf(5, Put("a", 5, "y"))));
    }

    [Fact]
    public void Keys_that_are_no_text_are_left_out_and_counted()
    {
        Take(ListOf(5, Put([0x61, 0xff], 4), Put([0x61, 0xfe], 5), Put("a\uFFFD", 3)));
        Assert.Equal(2, _records.ToSnapshot().SkippedKeys);
        Assert.Equal(["a\uFFFD"], _records.ToSnapshot().Items.Keys);

        _records.Apply(Change(6, new EtcdWatchEvent { Deleted = true, Record = Put([0x61, 0xff], 6) }));
        Assert.Equal(1, _records.ToSnapshot().SkippedKeys);
        Assert.Single(_records.ToSnapshot().Items);
    }

    private static EtcdListing ListOf(long revision, params EtcdKeyValue[] items) => new() { Items = items, Revision = revision, ClusterId = 1 };

    private static EtcdWatchUpdate Change(long revision, params EtcdWatchEvent[] events) =>
        new() { Kind = EtcdWatchUpdateKind.Changed, Revision = revision, Events = events, ClusterId = 1 };

    private static EtcdWatchUpdate Change(long revision, EtcdKeyValue put) => Change(revision, new EtcdWatchEvent { Deleted = false, Record = put });

    private static EtcdWatchEvent Deleted(string key, long revision) => new() { Deleted = true, Record = Put(key, revision) };

    private static EtcdKeyValue Put(string key, long revision, string value = "") => Put(Encoding.UTF8.GetBytes(key), revision, value);

    private static EtcdKeyValue Put(byte[] key, long revision, string value = "") => new()
    {
        KeyBytes = key, Value = Encoding.UTF8.GetBytes(value), CreateRevision = revision, ModRevision = revision, Version = 1,
    };

    private bool Take(EtcdListing listing)
    {
        _records.BeginList();
        return _records.Take(listing);
    }
}
