using Discovery.Etcd.Leasing;

namespace Discovery.Etcd.Tests.Leasing;

public sealed class WantedKeysTests
{
    private readonly WantedKeys _keys = new();

    [Fact]
    public void A_key_that_was_never_put_or_was_removed_is_not_updated()
    {
        _keys.Update("never", [1]);
        _keys.Put("removed", [1]);
        _keys.Remove("removed");
        _keys.Update("removed", [2]);

        Assert.Equal(0, _keys.Wanted);
    }

    [Fact]
    public void An_update_before_the_put_arrived_takes_nothing_from_it()
    {
        _keys.Put("a", [1]);
        _keys.Update("a", [2]);

        var key = Assert.Single(_keys.TakeOpen());
        Assert.True(key.TakeOver);
        Assert.Equal([2], key.Value!);
    }

    [Fact]
    public async Task A_flush_waits_for_what_was_wanted_before_it_only()
    {
        Assert.True(_keys.FlushAsync(default).IsCompleted);
        _keys.Put("a", [1]);
        var flush = _keys.FlushAsync(default);
        var a = Assert.Single(_keys.TakeOpen());
        _keys.Put("b", [1]);
        Assert.False(flush.IsCompleted);

        a.State = WantedState.Settled;
        _keys.Release(a);

        await flush.WaitAsync(TimeSpan.FromSeconds(10));
        var second = _keys.FlushAsync(default);
        _keys.Close(new ObjectDisposedException("keeper"));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => second);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => _keys.FlushAsync(default));
    }

    [Fact]
    public void A_new_lease_opens_all_keys_but_those_in_other_hands()
    {
        foreach (var name in (string[])["a", "b"])
        {
            _keys.Put(name, [1]);
        }

        var keys = _keys.TakeOpen();
        (keys[0].State, keys[1].State) = (WantedState.Settled, WantedState.Taken);
        foreach (var key in keys)
        {
            _keys.Release(key);
        }

        _keys.Reopen(7);

        Assert.Equal(["a"], _keys.TakeOpen().Select(k => k.Key));
        Assert.True(_keys.IsOurs(7));
        Assert.False(_keys.IsOurs(8));
    }
}
