using Discovery.AspNetCore.Hosting.LoadReporting;
using Discovery.AspNetCore.LoadReports;

namespace Discovery.AspNetCore.Tests.LoadReports;

public sealed class ServerLoadTests
{
    [Fact]
    public void Calls_that_take_seconds_are_load_and_subscriptions_are_none()
    {
        var clock = new FakeTimeProvider();
        var load = new ServerLoad(clock);
        load.OnStarted();
        var subscriptions = Enumerable.Range(0, 5).Select(_ => load.OnStarted()).ToList();
        clock.Advance(TimeSpan.FromSeconds(9));
        Assert.Equal(5, InFlight(load));

        for (var i = 0; i < 3; i++)
        {
            load.OnEnded(load.OnStarted(), isFailure: false);
            clock.Advance(TimeSpan.FromSeconds(10));
        }

        load.OnStarted();
        load.OnStarted();
        Assert.Equal(1, InFlight(load));
        subscriptions.ForEach(s => load.OnEnded(s, isFailure: false));
        Assert.Equal(1, InFlight(load));
    }

    private static double? InFlight(ServerLoad load)
    {
        Assert.True(LoadReport.TryReadInFlight(load.Report(), out var inFlight));
        return inFlight;
    }
}
