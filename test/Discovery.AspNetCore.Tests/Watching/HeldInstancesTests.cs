using System.Collections.Immutable;
using Discovery.AspNetCore.Watching;

namespace Discovery.AspNetCore.Tests.Watching;

public sealed class HeldInstancesTests
{
    private static readonly TimeSpan Duration = TimeSpan.FromMinutes(5);

    private readonly FakeTimeProvider _clock = new();
    private readonly HeldInstances _hold;
    private ImmutableDictionary<string, ServiceInstance> _present = ImmutableDictionary<string, ServiceInstance>.Empty;

    public HeldInstancesTests()
    {
        _hold = new HeldInstances(Duration, _clock);
        for (var i = 1; i <= 6; i++)
        {
            _present = _present.Add($"10.0.0.{i}:80", Instance(i));
        }
    }

    [Fact]
    public void One_of_many_is_let_go_and_most_are_held()
    {
        Vanish(1);
        Assert.Empty(_hold.ByAddress);

        Vanish(2, 3, 4);

        Assert.Equal(4, _hold.ByAddress.Count);
        Assert.Equal(Duration, _hold.NextRelease);
    }

    [Fact]
    public void Who_vanished_long_before_the_others_stays_gone()
    {
        Vanish(1);
        _clock.Advance(TimeSpan.FromSeconds(11));

        Vanish(2, 3, 4);

        Assert.Equal(["10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"], _hold.ByAddress.Keys.Order());
    }

    [Fact]
    public void Who_said_that_it_drains_is_not_held()
    {
        _present = _present.ToImmutableDictionary(i => i.Key, i => i.Value with { IsDraining = true });

        Vanish(1, 2, 3, 4, 5, 6);

        Assert.Empty(_hold.ByAddress);
        Assert.Null(_hold.NextRelease);
    }

    [Fact]
    public void Who_comes_back_is_held_no_longer_and_the_rest_is_let_go_in_time()
    {
        Vanish(1, 2, 3, 4, 5, 6);
        _clock.Advance(TimeSpan.FromMinutes(1));
        Appear(1);
        Assert.Equal(5, _hold.ByAddress.Count);
        Assert.Equal(TimeSpan.FromMinutes(4), _hold.NextRelease);

        // Held anew: its time starts again, and that of the others does not.
        Vanish(1);
        _clock.Advance(TimeSpan.FromMinutes(4));
        _hold.Update([], [], _present);
        Assert.Equal("10.0.0.1:80", Assert.Single(_hold.ByAddress).Key);

        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(TimeSpan.Zero, _hold.NextRelease);
        _hold.Update([], [], _present);
        Assert.Empty(_hold.ByAddress);
    }

    [Fact]
    public void A_duration_of_zero_holds_nobody()
    {
        var off = new HeldInstances(TimeSpan.Zero, _clock);

        off.Update(_present.Values, [], ImmutableDictionary<string, ServiceInstance>.Empty);

        Assert.Empty(off.ByAddress);
    }

    private static ServiceInstance Instance(int n) => new() { Key = $"services/svc/{n}", ServiceName = "svc", Host = $"10.0.0.{n}", Port = 80 };

    private void Vanish(params int[] numbers)
    {
        var gone = numbers.Select(n => _present[$"10.0.0.{n}:80"]).ToList();
        _present = _present.RemoveRange(gone.Select(g => g.Address));
        _hold.Update(gone, [], _present);
    }

    private void Appear(int number)
    {
        _present = _present.Add($"10.0.0.{number}:80", Instance(number));
        _hold.Update([], [$"10.0.0.{number}:80"], _present);
    }
}
