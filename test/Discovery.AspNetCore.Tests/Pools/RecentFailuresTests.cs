using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Tests.Balancing;

namespace Discovery.AspNetCore.Tests.Pools;

public sealed class RecentFailuresTests
{
    private static readonly Uri Method = new("http://svc/greeter/hello");

    private readonly BalancingRig _rig = new(3);
    private readonly RecentFailures _failures;

    public RecentFailuresTests() => _failures = new RecentFailures(_rig.Clock);

    [Fact]
    public void Each_attempt_finds_where_those_before_it_failed()
    {
        _failures.Add(Method, 0, null, _rig[0]);
        Assert.Equal([_rig[0]], _failures.Take(Method, 1, null));
        _failures.Add(Method, 1, null, _rig[1]);

        Assert.Equal([_rig[0], _rig[1]], _failures.Take(Method, 2, null));
    }

    [Fact]
    public void A_failure_is_that_of_one_call()
    {
        _failures.Add(Method, 0, null, _rig[0]);

        Assert.Single(_failures.Take(Method, 1, null));
        Assert.Empty(_failures.Take(Method, 1, null));
    }

    [Fact]
    public void Calls_of_other_methods_numbers_deadlines_and_times_are_others()
    {
        var second = TimeSpan.FromSeconds(1);
        _failures.Add(Method, 0, second, _rig[0]);

        Assert.Empty(_failures.Take(new Uri("http://svc/greeter/bye"), 1, second));
        Assert.Empty(_failures.Take(Method, 2, second));
        Assert.Empty(_failures.Take(Method, 1, null));
        Assert.Empty(_failures.Take(Method, 1, 3 * second));
        _rig.Clock.Advance(second / 2);
        Assert.Single(_failures.Take(Method, 1, second / 2));

        _failures.Add(Method, 0, null, _rig[0]);
        _rig.Clock.Advance(6 * second);
        Assert.Empty(_failures.Take(Method, 1, null));
    }
}
