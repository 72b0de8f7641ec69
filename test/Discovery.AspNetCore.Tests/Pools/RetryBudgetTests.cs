using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Tests.Pools;

public sealed class RetryBudgetTests
{
    [Fact]
    public void Retries_are_a_share_of_the_calls_beyond_a_small_reserve()
    {
        var budget = new RetryBudget(20);
        Assert.Equal(10, Enumerable.Range(0, 100).Count(_ => budget.TryBegin(isRetry: true)));

        var retries = 0;
        for (var i = 0; i < 1000; i++)
        {
            Assert.True(budget.TryBegin(isRetry: false));
            retries += budget.TryBegin(isRetry: true) ? 1 : 0;
        }

        Assert.Equal(200, retries);
    }

    [Fact]
    public void What_was_saved_up_has_an_end()
    {
        var budget = new RetryBudget(50);
        for (var i = 0; i < 100_000; i++)
        {
            budget.TryBegin(isRetry: false);
        }

        Assert.Equal(100, Enumerable.Range(0, 1000).Count(_ => budget.TryBegin(isRetry: true)));
    }

    [Fact]
    public void Without_a_setting_there_is_no_limit() => Assert.Null(RetryBudget.Of(new EtcdDiscoveryOptions()));
}
