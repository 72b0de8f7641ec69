using Discovery.AspNetCore.Registration.Health;

namespace Discovery.AspNetCore.Tests.Registration.Health;

public sealed class HealthThresholdsTests
{
    // + a run that succeeds, - one that fails; below, the verdict after each: H healthy, u not.
    [Theory]
    [InlineData("+--+++", "HHHHHH", 3, 2)]
    [InlineData("+---+", "HHHuu", 3, 2)]
    [InlineData("+---++", "HHHuuH", 3, 2)]
    [InlineData("+---+-+-+-++", "HHHuuuuuuuuH", 3, 2)]
    [InlineData("+--+--+--", "HHHHHHHHH", 3, 2)]
    [InlineData("--+-", "uuHu", 1, 2)]
    [InlineData("--+-++", "uuHuuH", 1, 2)]
    public void It_changes_only_after_enough_runs_in_a_row(string runs, string verdicts, int unhealthy, int healthy)
    {
        var verdict = new HealthThresholds();
        var options = new RegistrationHealthOptions { UnhealthyThreshold = unhealthy, HealthyThreshold = healthy };

        var seen = string.Concat(runs.Select(run =>
        {
            var before = verdict.IsHealthy;
            Assert.Equal(verdict.Observe(run == '+', options), before != verdict.IsHealthy);
            return verdict.IsHealthy ? 'H' : 'u';
        }));

        Assert.Equal(verdicts, seen);
    }
}
