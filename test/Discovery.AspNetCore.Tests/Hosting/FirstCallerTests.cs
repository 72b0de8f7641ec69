using System.Runtime.CompilerServices;
using Discovery.AspNetCore.Feeds;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Tests.Listing;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Tests.Hosting;

/// <summary>
/// What lives as long as the application is begun by a request, and must not keep what flows with it: its trace, its log scopes, its user.
/// </summary>
public sealed class FirstCallerTests : EtcdTestBase
{
    private static readonly AsyncLocal<object?> Ambient = new();

    [Theory]
    [InlineData("directory")]
    [InlineData("listing")]
    [InlineData("pool")]
    [InlineData("feed")]
    public async Task What_flows_with_the_first_caller_is_not_kept(string what)
    {
        await RegisterAsync("svc", "10.0.0.1:80");
        var services = Build([]).Services;

        var ambient = await BeginAsync(services, what);

        await Eventually.IsTrue(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return !ambient.IsAlive;
        });
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Task<WeakReference> BeginAsync(IServiceProvider services, string what) => Task.Run(async () =>
    {
        var value = new object();
        Ambient.Value = value;
        await BeginOneAsync(services, what);
        return new WeakReference(value);
    });

    private static async Task BeginOneAsync(IServiceProvider services, string what)
    {
        switch (what)
        {
            case "directory":
                await services.GetRequiredService<IServiceDirectory>().WaitForReadyAsync("svc");
                break;
            case "listing":
                await services.GetRequiredService<IServiceDirectory>().ListServicesAsync();
                break;
            case "pool":
                await services.GetRequiredService<PoolCache>().OfService("svc").WaitForInstanceAsync(CancellationToken.None);
                break;
            default:
                await FeedCatalog.Create(services, TimeSpan.FromSeconds(1)).Acquire("svc").WaitForReadyAsync(CancellationToken.None);
                break;
        }
    }
}
