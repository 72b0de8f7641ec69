using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Primitives;
using Microsoft.Extensions.ServiceDiscovery;

namespace Discovery.AspNetCore.ServiceDiscovery.Tests;

/// <summary>How changes are announced.</summary>
public sealed class FeedTests : DirectoryTestBase
{
    [Fact]
    public async Task Many_changes_at_once_are_announced_as_few()
    {
        var interval = TimeSpan.FromSeconds(0.5);
        Settings["Etcd:ServiceDiscovery:MinChangeInterval"] = $"{interval}";
        await PutAsync("greeter", "127.0.0.1:5001");
        var announced = 0;
        var query = Query("http://greeter");
        var factory = Services.GetServices<IServiceEndpointProviderFactory>().First(f => f.TryCreateProvider(query, out var p) && p.ToString() == "etcd");
        Assert.True(factory.TryCreateProvider(query, out var provider));
        var list = new Builder();
        await provider.PopulateAsync(list, CancellationToken.None);
        using var registration = ChangeToken.OnChange(
            () =>
            {
                list = new Builder();
                provider.PopulateAsync(list, CancellationToken.None).AsTask().GetAwaiter().GetResult();
                return list.Token!;
            },
            () => Interlocked.Increment(ref announced));

        var began = TimeProvider.System.GetTimestamp();
        for (var port = 5002; port <= 5100; port++)
        {
            await PutAsync("greeter", $"127.0.0.1:{port}");
        }

        await Eventually.IsTrue(() => list.Endpoints.Count == 100 && Volatile.Read(ref announced) > 0);

        // The first at once, then one in each interval for as long as the changes took, and one more as a timer may be a moment early.
        Assert.InRange(announced, 1, 3 + (int)(TimeProvider.System.GetElapsedTime(began) / interval));
        await provider.DisposeAsync();
    }

    [Fact]
    public async Task A_change_reaches_the_list_at_once()
    {
        await PutAsync("greeter", "127.0.0.1:5001");
        Assert.Single(await ResolveAsync("http://greeter"));
        List<double> times = [];
        for (var port = 5002; port < 5022; port++)
        {
            // Changes further apart than the interval.
            await Task.Delay(110);
            await PutAsync("greeter", $"127.0.0.1:{port}");
            var written = TimeProvider.System.GetTimestamp();
            while ((await ResolveAsync("http://greeter")).Length != port - 5000)
            {
                Assert.True(TimeProvider.System.GetElapsedTime(written) < TimeSpan.FromSeconds(20), $"127.0.0.1:{port} is not in the list.");
                await Task.Yield();
            }

            times.Add(TimeProvider.System.GetElapsedTime(written).TotalMilliseconds);
        }

        times.Sort();

        // A limit that a busy machine keeps too, and that asking again in intervals would not.
        Assert.InRange(times[times.Count / 2], 0, 1000);
    }

    [Fact]
    public async Task One_subscription_serves_all_and_ends_with_the_last_provider()
    {
        var directory = new CountingDirectory();
        Configure = s => s.AddSingleton<IServiceDirectory>(directory);
        var factory = Services.GetServices<IServiceEndpointProviderFactory>().Last();
        List<IServiceEndpointProvider> providers = [];
        foreach (var name in new[] { "http://greeter", "https://greeter", "https+http://greeter" })
        {
            Assert.True(factory.TryCreateProvider(Query(name), out var provider));
            await provider.PopulateAsync(new Builder(), CancellationToken.None);
            providers.Add(provider);
        }

        await Eventually.IsTrue(() => directory.Subscribed == 1);
        await providers[0].DisposeAsync();
        await providers[0].DisposeAsync();
        await providers[1].DisposeAsync();
        Assert.Equal(0, directory.Ended);
        await providers[2].DisposeAsync();
        await Eventually.IsTrue(() => directory.Ended == 1);
        Assert.Equal(1, directory.Subscribed);
    }

    [Fact]
    public async Task A_subscription_that_fails_is_begun_again()
    {
        var directory = new CountingDirectory { Failures = 1 };
        Configure = s => s.AddSingleton<IServiceDirectory>(directory);

        Assert.Equal(["127.0.0.1:1"], await ResolveAsync("http://greeter"));
        await Eventually.IsTrue(() => directory.Subscribed == 2);
        await Resolves("http://greeter", "127.0.0.1:2");
    }

    private static ServiceEndpointQuery Query(string name)
    {
        Assert.True(ServiceEndpointQuery.TryParse(name, out var query));
        return query;
    }

    private sealed class Builder : IServiceEndpointBuilder
    {
        public IList<ServiceEndpoint> Endpoints { get; } = [];

        public Microsoft.AspNetCore.Http.Features.IFeatureCollection Features { get; } = new Microsoft.AspNetCore.Http.Features.FeatureCollection();

        public IChangeToken? Token { get; private set; }

        public void AddChangeToken(IChangeToken changeToken) => Token = changeToken;
    }
}
