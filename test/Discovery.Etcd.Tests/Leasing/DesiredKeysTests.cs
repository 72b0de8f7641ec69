using Discovery.Etcd.Leasing;

namespace Discovery.Etcd.Tests.Leasing;

public sealed class DesiredKeysTests
{
    private readonly DesiredKeys _keys = new();
    private readonly HeldLease _lease = Lease(7);

    [Fact]
    public void Without_a_lease_only_removals_are_worked_on()
    {
        _keys.Put("a", [1]);
        _keys.Put("b", [1]);
        _keys.Remove("b");

        Assert.Equal(["b"], _keys.TakePending().Select(k => k.Name));
        _keys.LeaseGranted(_lease);
        Assert.Equal(["a"], _keys.TakePending().Select(k => k.Name));
        Assert.Empty(_keys.TakePending());
    }

    [Fact]
    public void Nothing_is_put_on_a_lease_in_doubt_until_etcd_was_asked_for_it()
    {
        _keys.LeaseGranted(_lease);
        _keys.Put("a", [1]);
        _keys.DoubtLease();
        Assert.True(_lease.IsInDoubt);
        Assert.Empty(_keys.TakePending());
        var change = _keys.Changed.Next;

        _keys.TrustLease(_lease);

        Assert.True(change.IsCompleted);
        Assert.Equal(["a"], _keys.TakePending().Select(k => k.Name));
    }

    [Fact]
    public void A_lease_after_one_in_doubt_is_not_in_doubt()
    {
        _keys.LeaseGranted(_lease);
        _keys.Put("a", [1]);
        _keys.DoubtLease();
        _keys.LeaseLost(_lease);
        Assert.Empty(_keys.TakePending());

        _keys.LeaseGranted(Lease(8));

        Assert.Equal(8, Assert.Single(_keys.TakePending()).NextStep()?.Lease?.Id);
    }

    [Fact]
    public async Task A_flush_waits_for_what_was_desired_before_it_only()
    {
        _keys.LeaseGranted(_lease);
        Assert.True(_keys.FlushAsync(default).IsCompleted);
        _keys.Put("a", [1]);
        var flush = _keys.FlushAsync(default);
        var a = Assert.Single(_keys.TakePending());
        _keys.Put("b", [1]);
        Assert.False(flush.IsCompleted);

        Write(a, 10);

        await flush.WaitAsync(TimeSpan.FromSeconds(10));
        var second = _keys.FlushAsync(default);
        Assert.False(second.IsCompleted);
        _keys.Close(new ObjectDisposedException("keeper"));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => second);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => _keys.FlushAsync(default));
    }

    [Fact]
    public void A_key_that_was_handed_over_is_remembered_without_being_worked_on()
    {
        PutAndWrite("a");
        _keys.HandOver("a");
        var key = Assert.Single(_keys.TakePending());
        _keys.Apply(key, static k => k.Written(k.NextStep()!, 20));

        Assert.False(_keys.Release(key));
        Assert.Empty(_keys.TakePending());
        Assert.Equal((0, 0), (_keys.Desired, _keys.Stored));

        Observe("a", new EtcdKeyValue { KeyBytes = "a"u8.ToArray(), Value = default, CreateRevision = 21, ModRevision = 21, Version = 1, LeaseId = 7 }, 21);
        Assert.Equal(KeyStepKind.Delete, Assert.Single(_keys.TakePending()).NextStep()?.Kind);
    }

    [Fact]
    public void A_new_lease_wants_all_keys_but_those_in_conflict()
    {
        PutAndWrite("a", "b");
        Observe("b", new EtcdKeyValue { KeyBytes = "b"u8.ToArray(), Value = default, CreateRevision = 20, ModRevision = 20, Version = 1, LeaseId = 99 }, 20);
        Assert.Equal((2, 1), (_keys.Desired, _keys.Stored));

        _keys.LeaseLost(_lease);
        Assert.Equal((2, 0), (_keys.Desired, _keys.Stored));
        Assert.Empty(_keys.TakePending());
        _keys.LeaseGranted(Lease(8));

        Assert.Equal(["a"], _keys.TakePending().Select(k => k.Name));
        Assert.Equal([8, 7], _keys.LeaseIds);
    }

    [Fact]
    public void The_loss_of_a_lease_that_was_replaced_means_nothing()
    {
        PutAndWrite("a");
        var next = Lease(8);
        _keys.LeaseLost(_lease);
        _keys.LeaseGranted(next);
        Write(Assert.Single(_keys.TakePending()), 20);

        _keys.LeaseLost(_lease);

        Assert.Equal(1, _keys.Stored);
    }

    [Fact]
    public void A_removed_key_is_forgotten_once_it_is_gone()
    {
        PutAndWrite("a");
        _keys.Remove("a");
        var key = Assert.Single(_keys.TakePending());
        Assert.False(_keys.Release(key));
        Assert.Single(_keys.TakePending());

        _keys.Apply(key, k => k.Observed(null, 20));

        Assert.True(_keys.Release(key));
        Assert.Empty(_keys.All);
    }

    [Fact]
    public void A_lease_is_given_up_only_without_desired_keys_and_then_takes_no_put()
    {
        PutAndWrite("a");
        Assert.False(_keys.TryRetire(_lease));
        _keys.Remove("a");

        Assert.True(_keys.TryRetire(_lease));

        Assert.True(_lease.IsRetired);
        _keys.Put("b", [1]);
        Assert.DoesNotContain(_keys.TakePending(), k => k.Name == "b");
    }

    [Fact]
    public void A_key_is_removed_by_revocation_only_if_nothing_else_hangs_on_its_lease()
    {
        PutAndWrite("a", "b");
        _keys.Remove("a");
        var a = _keys.All.Single(k => k.Name == "a");
        Assert.False(_keys.TryRetireLeaseOf(a, out _, out _));

        _keys.Remove("b");

        Assert.True(_keys.TryRetireLeaseOf(a, out var id, out var retired));
        Assert.Equal((7, _lease), (id, retired));

        // A repetition finds it retired.
        Assert.True(_keys.TryRetireLeaseOf(a, out id, out retired));
        Assert.Equal((7, null), (id, retired));
    }

    private static HeldLease Lease(long id) => new(id, new LeaseClock(TimeProvider.System));

    private void PutAndWrite(params ReadOnlySpan<string> names)
    {
        _keys.LeaseGranted(_lease);
        foreach (var name in names)
        {
            _keys.Put(name, [1]);
        }

        foreach (var key in _keys.TakePending())
        {
            Write(key, 10);
        }
    }

    private void Write(DesiredKey key, long revision)
    {
        _keys.Apply(key, k => k.Observed(null, revision, k.ReadStep()));
        _keys.Apply(key, k => k.Written(k.NextStep()!, revision + 1));
        _keys.Release(key);
    }

    private void Observe(string name, EtcdKeyValue record, long at) => _keys.Apply(_keys.All.Single(k => k.Name == name), k => k.Observed(record, at));
}
