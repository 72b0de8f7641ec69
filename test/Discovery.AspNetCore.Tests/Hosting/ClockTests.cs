using Discovery.AspNetCore.Tests.Watching;
using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Tests.Hosting;

/// <summary>Whose clock the library goes by.</summary>
public sealed class ClockTests
{
    [Fact]
    public async Task An_applications_own_clock_that_stands_still_ends_no_timeout_of_ours()
    {
        await using var services = Build(s => s.AddSingleton<TimeProvider>(new FakeTimeProvider()));

        var waiting = services.GetRequiredService<IServiceDirectory>().WaitForReadyAsync("svc").AsTask();

        await Assert.ThrowsAsync<ServiceDiscoveryException>(() => waiting.WaitAsync(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task A_clock_that_is_given_by_the_librarys_key_is_the_one()
    {
        var clock = new FakeTimeProvider();
        await using var services = Build(s => s.AddKeyedSingleton<TimeProvider>(EtcdServiceKeys.TimeProvider, clock));

        var waiting = services.GetRequiredService<IServiceDirectory>().WaitForReadyAsync("svc").AsTask();
        Assert.False(waiting.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(1));

        await Assert.ThrowsAsync<ServiceDiscoveryException>(() => waiting);
    }

    private static ServiceProvider Build(Action<IServiceCollection> clock)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IServiceSource>(new ModelEtcd { IsDown = true });
        clock(services);
        return services.AddEtcdDiscovery(o => o.ReadyTimeout = TimeSpan.FromMilliseconds(100)).BuildServiceProvider();
    }
}
