using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Tests.Watching;

public sealed class InstanceIndexTests
{
    private readonly InstanceIndex _table = new("svc", new EtcdNamingLayout(null));

    [Fact]
    public void Two_keys_of_one_address_are_one_instance_and_the_latest_record_speaks_for_it()
    {
        _table.Put(Record("a", 2, "10.0.0.1:80", "1"));
        _table.Put(Record("b", 3, "10.0.0.1:80", "2"));
        Assert.Equal("2", Assert.Single(_table.Instances).Value.Version);

        _table.Put(Record("a", 4, "10.0.0.1:80", "3"));
        Assert.Equal("3", Assert.Single(_table.Instances).Value.Version);

        _table.Remove("a");
        Assert.Equal("2", Assert.Single(_table.Instances).Value.Version);
        Assert.Empty(_table.Vanished);

        _table.Remove("b");
        Assert.Empty(_table.Instances);
        Assert.Equal("10.0.0.1:80", Assert.Single(_table.Vanished).Address);
    }

    [Fact]
    public void Of_several_records_of_one_address_one_that_does_not_drain_speaks_for_it()
    {
        _table.Put(Record("a", 2, "10.0.0.1:80", "1"));
        _table.Put(Record("b", 3, "10.0.0.1:80", "2"));

        _table.Put(Record("b", 4, "10.0.0.1:80", "2", isDraining: true));
        Assert.Equal("1", Assert.Single(_table.Instances).Value.Version);

        _table.Put(Record("a", 5, "10.0.0.1:80", "1", isDraining: true));
        Assert.True(Assert.Single(_table.Instances).Value.IsDraining);

        _table.Put(Record("b", 6, "10.0.0.1:80", "3"));
        Assert.Equal("3", Assert.Single(_table.Instances).Value.Version);
    }

    [Fact]
    public void A_record_that_becomes_garbage_is_an_instance_no_longer_and_comes_back()
    {
        _table.Put(Record("a", 2, "10.0.0.1:80", "1"));

        Assert.NotNull(_table.Put(new EtcdKeyValue { KeyBytes = "a"u8.ToArray(), Value = "{"u8.ToArray(), CreateRevision = 2, ModRevision = 3, Version = 2 }));
        Assert.Equal((0, 1), (_table.Instances.Count, _table.Skipped));

        Assert.Null(_table.Put(Record("a", 4, "10.0.0.2:80", "1")));
        Assert.Equal((1, 0), (_table.Instances.Count, _table.Skipped));
    }

    [Fact]
    public void An_event_that_is_older_than_what_is_known_changes_nothing_but_a_list_is_the_truth()
    {
        _table.Put(Record("a", 5, "10.0.0.1:80", "5"));

        _table.Put(Record("a", 4, "10.0.0.1:80", "4"));
        Assert.Equal("5", Assert.Single(_table.Instances).Value.Version);

        _table.PutListed([Record("a", 4, "10.0.0.1:80", "4")], static (_, problem) => Assert.Fail(problem));
        Assert.Equal("4", Assert.Single(_table.Instances).Value.Version);

        // A wiped etcd counts from the start again: the same revision may bear another value.
        _table.PutListed([Record("a", 4, "10.0.0.1:80", "6")], static (_, problem) => Assert.Fail(problem));
        Assert.Equal("6", Assert.Single(_table.Instances).Value.Version);

        var before = _table.Instances;
        _table.PutListed([Record("a", 4, "10.0.0.1:80", "6")], static (_, problem) => Assert.Fail(problem));
        Assert.Same(before, _table.Instances);
    }

    [Fact]
    public void A_record_from_disk_has_the_lease_of_the_list_that_finds_it_unchanged()
    {
        _table.PutListed([Record("a", 4, "10.0.0.1:80", "1")], static (_, problem) => Assert.Fail(problem));

        _table.PutListed([Record("a", 4, "10.0.0.1:80", "1") with { LeaseId = 7 }], static (_, problem) => Assert.Fail(problem));

        Assert.Equal(7, Assert.Single(_table.Instances).Value.LeaseId);
        Assert.Empty(_table.Vanished);
        Assert.Equal(["10.0.0.1:80"], _table.Appeared);
    }

    [Fact]
    public void Keys_that_are_no_text_are_skipped_one_by_one_and_take_no_other_record_away()
    {
        EtcdKeyValue Bad(byte end, long revision, string address) => Record("a", revision, address, "1") with { KeyBytes = new byte[] { (byte)'a', end } };
        var skipped = new List<string>();
        void Skip(EtcdKeyValue record, string problem) => skipped.Add(problem);

        // As text, the two are one: a and U+FFFD, which is a key of its own.
        EtcdKeyValue[] listed = [Bad(0xfe, 2, "10.0.0.1:80"), Bad(0xff, 3, "10.0.0.2:80"), Record("a\ufffd", 4, "10.0.0.3:80", "1")];
        _table.PutListed(listed, Skip);
        Assert.Equal(["the key is no UTF-8", "the key is no UTF-8"], skipped);
        Assert.Equal((2, "10.0.0.3:80"), (_table.Skipped, Assert.Single(_table.Instances).Key));
        Assert.True(_table.Has(listed, new HashSet<string>()));
        Assert.Equal(3, _table.Records.Count());

        _table.Remove(InstanceIndex.KeyOf(listed[0]));
        Assert.Equal((1, 1), (_table.Skipped, _table.Instances.Count));
        Assert.NotNull(_table.Put(Bad(0xfe, 5, "10.0.0.1:80")));
        Assert.Equal((2, 1), (_table.Skipped, _table.Instances.Count));
        Assert.Empty(_table.Vanished);
        Assert.Empty(_table.KeysOtherThan(listed.Select(InstanceIndex.KeyOf).ToHashSet()));
    }

    private static EtcdKeyValue Record(string key, long revision, string address, string version, bool isDraining = false) => new()
    {
        KeyBytes = Encoding.UTF8.GetBytes(key),
        Value = Encoding.UTF8.GetBytes($$$"""{"Addr":"{{{address}}}","Metadata":{"version":"{{{version}}}","draining":{{{(isDraining ? "true" : "false")}}}}}"""),
        CreateRevision = 2,
        ModRevision = revision,
        Version = 1,
    };
}
