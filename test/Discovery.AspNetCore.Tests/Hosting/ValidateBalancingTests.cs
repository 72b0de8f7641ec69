using Discovery.AspNetCore.Balancing.Steps;
using Discovery.AspNetCore.Hosting;

namespace Discovery.AspNetCore.Tests.Hosting;

public class ValidateBalancingTests
{
    [Fact]
    public void The_defaults_are_valid() => Assert.Empty(new BalancingOptions().Validate("Etcd:Discovery"));

    [Fact]
    public void A_failure_names_the_setting_its_value_and_a_valid_one()
    {
        var options = new BalancingOptions();
        options.Ejection.MaxEjectedPercent = 120;

        Assert.Equal(
            "Etcd:Discovery:Ejection:MaxEjectedPercent is '120'; it must be from 0 to 100, e.g. 50.",
            Assert.Single(options.Validate("Etcd:Discovery")));
    }

    [Fact]
    public void All_failures_are_told_at_once()
    {
        var options = new BalancingOptions
        {
            Policy = " ",
            SlowStart = TimeSpan.FromSeconds(-1),
            SubsetSize = -1,
            HashBound = double.NaN,
            Ejection = new EjectionOptions
            {
                ConsecutiveFailures = 0,
                ConsecutiveConnectFailures = 0,
                FailureRatePercent = 0,
                BaseDuration = TimeSpan.Zero,
                MaxDuration = TimeSpan.FromSeconds(-1),
                MaxEjectedPercent = -1,
                PanicThresholdPercent = 101,
            },
            ZoneSpillOver = new ZoneSpillOverOptions { MinInstances = 0, MinCapacityPercent = 0, LatencyRatio = 0.5 },
        };

        var failures = options.Validate("S").ToList();

        Assert.Equal(14, failures.Count);
        Assert.All(failures, f => Assert.StartsWith("S:", f, StringComparison.Ordinal));
        Assert.All(failures, f => Assert.Contains("e.g. ", f, StringComparison.Ordinal));
    }
}
