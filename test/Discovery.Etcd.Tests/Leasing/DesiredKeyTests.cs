using System.Text;
using Discovery.Etcd.Leasing;
using Grpc.Core;

namespace Discovery.Etcd.Tests.Leasing;

/// <summary>The states of one key, transition by transition.</summary>
public sealed class DesiredKeyTests
{
    private const long Ours = 7;
    private const long Foreign = 99;

    private readonly OwnLeases _leases = new();
    private readonly DesiredKey _key;

    public DesiredKeyTests()
    {
        _key = new DesiredKey("a", _leases);
        _leases.Granted(Lease(Ours));
    }

    [Fact]
    public void A_key_that_nobody_holds_is_read_put_and_then_in_line()
    {
        _key.Desire([1], 1);
        Assert.Equal(KeyState.Pending, _key.State);

        var read = Next(KeyStepKind.Read);
        Assert.Null(_key.Observed(null, 10, read));
        var put = Next(KeyStepKind.Put);
        Assert.Equal((0, Ours), (put.Revision, put.Lease!.Id));

        Assert.Null(_key.Written(put, 11));
        Assert.Equal((KeyState.InLine, 11), (_key.State, _key.KnownAt));
        Assert.Null(_key.NextStep());
    }

    [Fact]
    public void A_put_takes_the_key_over_from_whoever_holds_it()
    {
        _key.Desire([1], 1);
        Assert.Null(_key.Observed(Record(Foreign, [9], 5), 10, _key.NextStep()));

        var put = Next(KeyStepKind.Put);
        Assert.Equal(5, put.Revision);
        _key.Written(put, 11);
        Assert.Equal(KeyState.InLine, _key.State);
    }

    [Fact]
    public void What_a_holder_changes_before_our_put_is_taken_over_too()
    {
        _key.Desire([1], 1);
        _key.Observed(Record(Foreign, [9], 5, created: 4, version: 2), 10, _key.NextStep());
        var put = Next(KeyStepKind.Put);

        // One more write than we know of: ours was not carried out.
        Assert.Null(_key.Observed(Record(Foreign, [8], 12, created: 4, version: 3), 12, put));

        Assert.Equal(12, Next(KeyStepKind.Put).Revision);
    }

    [Fact]
    public void A_successor_of_our_put_whose_answer_was_lost_is_left_alone()
    {
        _key.Desire([1], 1);
        _key.Observed(Record(Foreign, [9], 5, created: 4, version: 2), 10, _key.NextStep());
        var put = Next(KeyStepKind.Put);

        // The put is repeated and finds the key changed twice: by the first attempt, and by the successor.
        Assert.NotNull(_key.Observed(Record(98, [8], 13, created: 4, version: 4), 14, put));

        Assert.Equal(KeyState.Conflict, _key.State);
        Assert.Null(_key.NextStep());
    }

    [Fact]
    public void Of_two_that_put_a_new_key_the_first_has_it()
    {
        _key.Desire([1], 1);
        _key.Observed(null, 10, _key.NextStep());

        Assert.NotNull(_key.Observed(Record(Foreign, [9], 11), 11, _key.NextStep()));

        Assert.Equal(KeyState.Conflict, _key.State);
    }

    public static TheoryData<string, string> Orders()
    {
        var orders = new TheoryData<string, string>();
        foreach (var holder in (string[])["ours", "another's", "nobody's"])
        {
            foreach (var order in (string[])[
                "answer own foreign", "own answer foreign", "own foreign answer", "answer foreign", "foreign answer", "foreign-read answer",
                "foreign-read own answer", "foreign-read own foreign answer", "lost own foreign", "lost own foreign answer-of-repetition",
                "lost answer-of-repetition own foreign"])
            {
                orders.Add(holder, order);
            }
        }

        return orders;
    }

    // Our put is carried out at 13, a successor's at 14. The answer may be lost or late, the watch may be early, late, or skip events.
    [Theory]
    [MemberData(nameof(Orders))]
    public void A_key_put_a_second_time_is_left_to_its_successor_in_whatever_order_the_news_come(string holder, string order)
    {
        Put([1], 1, 5);
        var before = holder switch
        {
            "ours" => Record(Ours, [1], 6),
            "another's" => Record(98, [5], 11, created: 6, version: 2),
            _ => null,
        };
        _key.Observed(before, 11);
        _key.Desire([2], 2);
        _key.Observed(before, 12, Next(KeyStepKind.Read));
        var put = Next(KeyStepKind.Put);
        Assert.Equal(before?.ModRevision ?? 0, put.Revision);
        var (created, version) = (before?.CreateRevision ?? 13, before?.Version ?? 0);
        var own = Record(Ours, [2], 13, created, version + 1);
        var foreign = Record(Foreign, [9], 14, created, version + 2);

        var conflicts = order.Split(' ').Select(news => news switch
        {
            "answer" => _key.Written(put, 13),
            "own" => _key.Observed(own, 13),
            "foreign" => _key.Observed(foreign, 14),
            "foreign-read" => _key.Observed(foreign, 15, _key.ReadStep()),
            "answer-of-repetition" => _key.Observed(foreign, 15, put),
            _ => null,
        }).Count(c => c is not null);

        Assert.Equal((1, KeyState.Conflict), (conflicts, _key.State));
        Assert.Null(_key.NextStep());
        _key.Update([3], 3);
        Assert.Null(_key.NextStep());
    }

    [Fact]
    public void What_came_before_the_put_does_not_end_it()
    {
        Put([1], 1, 10);
        _key.Desire([2], 2);

        // Events that were on their way when the user put the key.
        Assert.Null(_key.Observed(Record(Foreign, [9], 12, created: 11, version: 2), 12));
        Assert.Null(_key.Observed(Record(Foreign, [8], 13, created: 11, version: 3), 13));
        Assert.Null(_key.Observed(Record(Foreign, [8], 13, created: 11, version: 3), 14, Next(KeyStepKind.Read)));

        var put = Next(KeyStepKind.Put);
        Assert.Equal(13, put.Revision);
        _key.Written(put, 15);
        Assert.Equal(KeyState.InLine, _key.State);
    }

    [Fact]
    public void A_put_during_a_put_takes_over_again()
    {
        _key.Desire([1], 1);
        _key.Observed(null, 10, Next(KeyStepKind.Read));
        var first = Next(KeyStepKind.Put);
        _key.Desire([2], 2);

        _key.Written(first, 11);

        Assert.Equal(KeyState.Pending, _key.State);
        Next(KeyStepKind.Read);
    }

    [Fact]
    public void A_read_from_before_a_second_put_does_not_begin_its_takeover()
    {
        _key.Desire([1], 1);
        var read = Next(KeyStepKind.Read);
        _key.Desire([2], 2);

        _key.Observed(null, 10, read);

        Next(KeyStepKind.Read);
    }

    [Fact]
    public void An_update_is_written_by_revision_and_a_takeover_under_way_goes_on()
    {
        Put([1], 1, 10);
        _key.Update([2], 2);
        var put = Next(KeyStepKind.Put);
        Assert.Equal(11, put.Revision);
        _key.Written(put, 12);
        Assert.Equal(KeyState.InLine, _key.State);

        _key.Desire([3], 3);
        _key.Update([4], 4);
        var read = Next(KeyStepKind.Read);
        _key.Observed(Record(Foreign, [9], 13), 13, read);
        Assert.Equal([4], Next(KeyStepKind.Put).Value!);
    }

    [Fact]
    public void An_update_that_finds_another_owner_leaves_the_key_to_it()
    {
        Put([1], 1, 10);
        _key.Update([2], 2);

        Assert.NotNull(_key.Observed(Record(Foreign, [9], 12), 12, Next(KeyStepKind.Put)));

        Assert.Equal(KeyState.Conflict, _key.State);
    }

    [Fact]
    public void A_key_that_was_never_put_or_was_removed_is_not_updated()
    {
        _key.Update([1], 1);
        Assert.Null(_key.Value);
        Put([1], 2, 10);
        _key.Remove(3);
        _key.Update([2], 4);

        Next(KeyStepKind.Delete);
    }

    [Fact]
    public void A_key_deleted_from_outside_is_put_again_and_one_gone_from_its_other_owner_too()
    {
        Put([1], 1, 10);
        _key.Observed(null, 12);
        var put = Next(KeyStepKind.Put);
        Assert.Equal(0, put.Revision);
        _key.Written(put, 13);

        _key.Observed(Record(Foreign, [9], 14), 14);
        Assert.Equal(KeyState.Conflict, _key.State);
        _key.Observed(null, 15);
        Next(KeyStepKind.Put);
    }

    [Fact]
    public void Another_value_under_our_own_lease_is_put_right()
    {
        Put([1], 1, 10);

        Assert.Null(_key.Observed(Record(Ours, [5], 12), 12));

        Assert.Equal(12, Next(KeyStepKind.Put).Revision);
    }

    [Fact]
    public void A_lost_lease_makes_the_key_wait_for_the_next_and_a_conflict_lasts()
    {
        Put([1], 1, 10);
        Lose();
        Assert.Equal(KeyState.Pending, _key.State);
        Assert.Null(_key.NextStep());

        _leases.Granted(Lease(8));
        _key.LeaseGranted();
        var put = Next(KeyStepKind.Put);
        Assert.Equal((11, 8), (put.Revision, put.Lease!.Id));
        _key.Written(put, 12);
        Assert.Equal(KeyState.InLine, _key.State);

        _key.Observed(Record(Foreign, [9], 13), 13);
        Lose();
        _leases.Granted(Lease(9));
        _key.LeaseGranted();
        Assert.Equal(KeyState.Conflict, _key.State);
    }

    [Fact]
    public void A_put_answered_after_its_lease_was_lost_is_made_again_on_the_next()
    {
        _key.Desire([1], 1);
        _key.Observed(null, 10, Next(KeyStepKind.Read));
        var put = Next(KeyStepKind.Put);
        Lose();

        _key.Written(put, 11);

        Assert.Equal(KeyState.Pending, _key.State);
        _leases.Granted(Lease(8));
        Assert.Equal(11, Next(KeyStepKind.Put).Revision);
    }

    [Fact]
    public void A_removal_deletes_what_is_ours_and_needs_no_lease()
    {
        Put([1], 1, 10);
        _key.Remove(2);
        Lose();

        var delete = Next(KeyStepKind.Delete);
        Assert.Equal((11, null), (delete.Revision, delete.Lease));
        _key.Written(delete, 12);

        Assert.Equal(KeyState.InLine, _key.State);
    }

    [Fact]
    public void A_removal_does_not_delete_another_owners_record()
    {
        Put([1], 1, 10);
        _key.Observed(Record(Foreign, [9], 12), 12);
        _key.Remove(2);

        // By revision 0 nothing is deleted that is there.
        var delete = Next(KeyStepKind.Delete);
        Assert.Equal(0, delete.Revision);
        Assert.Null(_key.Observed(Record(Foreign, [9], 12), 13, delete));

        Assert.Equal(KeyState.InLine, _key.State);
    }

    [Fact]
    public void A_key_that_is_handed_over_is_put_on_the_lease_of_the_last_other_that_held_it_with_the_same_value()
    {
        TakeOverFrom(Record(97, [1], 5));
        _key.Observed(Record(98, [1], 12), 12);
        _key.Observed(Record(99, [9], 13), 13);
        _key.Observed(null, 14);
        _key.Written(Next(KeyStepKind.Put), 15);
        _key.HandOver(2);

        var handOver = Next(KeyStepKind.HandOver);
        Assert.Equal((15, 98), (handOver.Revision, handOver.PeerLeaseId));
        Assert.Equal([1], handOver.Value!);

        Assert.Null(_key.Written(handOver, 16));
        Assert.Equal(KeyState.InLine, _key.State);
    }

    [Fact]
    public void A_key_is_handed_over_to_the_next_one_when_the_last_is_gone_and_deleted_when_there_is_none()
    {
        TakeOverFrom(Record(97, [1], 5));
        _key.Observed(Record(98, [1], 12), 12);
        _key.Observed(Record(Ours, [1], 13), 13);
        _key.Observed(Record(96, [1], 14), 14);
        _key.Desire([1], 2);
        _key.Observed(Record(96, [1], 14), 15, Next(KeyStepKind.Read));
        _key.Written(Next(KeyStepKind.Put), 16);
        _key.HandOver(3);

        Assert.Equal(96, Next(KeyStepKind.HandOver).PeerLeaseId);
        _key.PeerGone(96);

        // 98 handed it over to us, so it left.
        Assert.Equal(97, Next(KeyStepKind.HandOver).PeerLeaseId);
        _key.PeerGone(97);
        Next(KeyStepKind.Delete);
    }

    [Fact]
    public void A_key_that_nobody_shares_or_that_another_has_already_is_not_handed_over()
    {
        Put([1], 1, 10);
        _key.HandOver(2);
        Assert.Equal(11, Next(KeyStepKind.Delete).Revision);

        Put([1], 3, 20);
        _key.Observed(Record(Foreign, [1], 22), 22);
        _key.HandOver(4);
        var delete = Next(KeyStepKind.Delete);
        Assert.Equal(0, delete.Revision);
        _key.Observed(Record(Foreign, [1], 22), 23, delete);
        Assert.Equal(KeyState.InLine, _key.State);
    }

    [Fact]
    public void A_key_that_comes_back_after_it_was_handed_over_is_deleted()
    {
        TakeOverFrom(Record(Foreign, [1], 5));
        _key.HandOver(2);
        _key.Written(Next(KeyStepKind.HandOver), 12);

        _key.Observed(Record(Ours, [1], 13), 13);

        Assert.Equal(13, Next(KeyStepKind.Delete).Revision);
    }

    [Fact]
    public void Of_a_takeover_the_event_that_overtakes_the_answer_is_no_departure()
    {
        _key.Desire([1], 1);
        _key.Observed(Record(Foreign, [1], 5), 10, Next(KeyStepKind.Read));
        var put = Next(KeyStepKind.Put);
        _key.Observed(Record(Ours, [1], 11), 11);
        _key.Written(put, 11);

        _key.HandOver(2);

        Assert.Equal(Foreign, Next(KeyStepKind.HandOver).PeerLeaseId);
    }

    [Fact]
    public void A_key_has_its_last_value_before_it_is_deleted()
    {
        Put([1], 1, 10);
        _key.Remove(2, [2]);
        Assert.True(_key.IsLeaving);

        var put = Next(KeyStepKind.Put);
        Assert.Equal((11, Ours), (put.Revision, put.Lease!.Id));
        Assert.Equal([2], put.Value!);
        Assert.Null(_key.Written(put, 12));

        Assert.Equal(12, Next(KeyStepKind.Delete).Revision);
        Assert.Null(_key.Written(Next(KeyStepKind.Delete), 13));
        Assert.Equal(KeyState.InLine, _key.State);
        Assert.False(_key.IsLeaving);
    }

    [Fact]
    public void A_last_value_waits_for_a_lease_in_doubt_and_goes_with_one_that_is_lost()
    {
        Put([1], 1, 10);
        _leases.Current!.Doubt();
        _key.Remove(2, [2]);
        Assert.Null(_key.NextStep());

        _leases.Current.Trust();
        Assert.Equal([2], Next(KeyStepKind.Put).Value!);

        _leases.Ended(_leases.Current);
        Assert.Equal(11, Next(KeyStepKind.Delete).Revision);
    }

    [Fact]
    public void A_key_whose_last_value_is_refused_or_that_is_not_ours_is_only_deleted()
    {
        Put([1], 1, 10);
        _key.Remove(2, [2]);
        _key.LastValueRefused();
        Assert.Equal(11, Next(KeyStepKind.Delete).Revision);

        Put([1], 3, 20);
        _key.Observed(Record(Foreign, [9], 22), 22);
        _key.Remove(4, [2]);
        Assert.Equal(0, Next(KeyStepKind.Delete).Revision);
    }

    [Fact]
    public void A_key_that_is_wanted_again_forgets_its_last_value()
    {
        Put([1], 1, 10);
        _key.Remove(2, [2]);
        _key.Desire([3], 3);

        Assert.False(_key.IsLeaving);
        Next(KeyStepKind.Read);
        _key.Remove(4);
        Assert.Equal(11, Next(KeyStepKind.Delete).Revision);
    }

    [Fact]
    public void A_put_that_arrives_after_the_removal_is_deleted()
    {
        _key.Desire([1], 1);
        _key.Observed(null, 10, Next(KeyStepKind.Read));
        var put = Next(KeyStepKind.Put);
        _key.Remove(2);

        _key.Written(put, 11);

        Assert.Equal(11, Next(KeyStepKind.Delete).Revision);
    }

    [Fact]
    public void After_a_restore_an_answer_counts_with_an_earlier_revision_unless_something_else_came_in()
    {
        Put([1], 1, 100);
        _key.Update([2], 2);
        var put = Next(KeyStepKind.Put);
        _key.Observed(null, 20, put);
        Assert.Equal((KeyState.Pending, 20), (_key.State, _key.KnownAt));

        var second = Next(KeyStepKind.Put);
        _key.Observed(Record(Foreign, [9], 30), 30);
        _key.Observed(null, 19, second);
        Assert.Equal((KeyState.Conflict, 30), (_key.State, _key.KnownAt));
    }

    [Fact]
    public void A_key_that_may_not_be_read_is_put_and_deleted_unconditionally_until_it_may()
    {
        _key.Desire([1], 1);
        Next(KeyStepKind.Read);
        _key.ReadDenied(Denied());
        var put = Next(KeyStepKind.PutUnconditionally);
        _key.Written(put, 11);
        Assert.Equal(KeyState.InLine, _key.State);

        _key.Update([2], 2);
        _key.Written(Next(KeyStepKind.PutUnconditionally), 12);
        _key.Remove(3);
        Next(KeyStepKind.DeleteUnconditionally);

        _key.WriteDenied();
        Next(KeyStepKind.Delete);
    }

    [Fact]
    public void Whether_a_key_may_be_read_is_asked_again_with_each_put_and_each_lease()
    {
        _key.Desire([1], 1);
        _key.ReadDenied(Denied());
        _key.Desire([2], 2);
        Next(KeyStepKind.Read);

        _key.ReadDenied(Denied());
        _key.Written(Next(KeyStepKind.PutUnconditionally), 11);
        Lose();
        _leases.Granted(Lease(8));
        _key.LeaseGranted();
        Next(KeyStepKind.Put);

        _key.ReadDenied(Denied());
        _key.Observed(Record(Ours, [2], 11), 12, _key.ReadStep());
        Assert.Null(_key.ReadError);
    }

    private static HeldLease Lease(long id) => new(id, new LeaseClock(TimeProvider.System));

    private static EtcdException Denied() => new("denied", new Status(StatusCode.PermissionDenied, ""), "Range", []);

    private static EtcdKeyValue Record(long lease, byte[] value, long revision, long? created = null, long version = 1) =>
        new()
        {
            KeyBytes = Encoding.UTF8.GetBytes("a"),
            Value = value,
            CreateRevision = created ?? revision,
            ModRevision = revision,
            Version = version,
            LeaseId = lease,
        };

    private void Lose()
    {
        _leases.Ended(_leases.Current!);
        _key.LeaseLost();
    }

    private void Put(byte[] value, long generation, long readAt)
    {
        _key.Desire(value, generation);
        _key.Observed(null, readAt, Next(KeyStepKind.Read));
        _key.Written(Next(KeyStepKind.Put), readAt + 1);
    }

    private void TakeOverFrom(EtcdKeyValue holder)
    {
        _key.Desire([1], 1);
        _key.Observed(holder, 10, Next(KeyStepKind.Read));
        _key.Written(Next(KeyStepKind.Put), 11);
    }

    private KeyStep Next(KeyStepKind kind)
    {
        var step = _key.NextStep();
        Assert.NotNull(step);
        Assert.Equal(kind, step.Kind);
        return step;
    }
}
