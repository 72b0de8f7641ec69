using System.Net.Sockets;
using Discovery.AspNetCore;
using Discovery.IntegrationTests.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>The order of a stop, seen from outside: draining, no new call, key gone, Kestrel closed.</summary>
public sealed class StopOrderTests(OneNode node) : IClassFixture<OneNode>
{
    [Fact]
    public async Task An_application_drains_then_gets_no_call_then_leaves_then_closes()
    {
        var service = NewService();

        // Long enough that a busy machine still looks while the application serves on.
        const string Delays = "DrainDelay=00:00:04;LeaveDelay=00:00:04";
        await using var stays = await TestApp.StartAsync(node.Etcd.Endpoint, service, Delays);
        await using var leaves = await TestApp.StartAsync(node.Etcd.Endpoint, service, Delays);
        await using var client = node.Connect();
        await using var caller = CreateCaller(service);
        var http = caller.GetRequiredService<IHttpClientFactory>().CreateClient(service);
        using var direct = new HttpClient();
        var key = Assert.Single(leaves.Keys);
        var failed = 0;

        await CallAsync(50);
        Assert.NotEqual(0, leaves.Calls);
        var stop = leaves.StopAsync();

        // 1. It says that it drains, while it serves.
        await Eventually.IsTrue(async () => (await client.GetAsync(key))!.Metadata().TryGetProperty("draining", out _));
        Assert.Equal("ok", await direct.GetStringAsync(leaves.Url));

        // 2. Clients know, and call it no more, though it would answer.
        var directory = caller.GetRequiredService<IServiceDirectory>();
        await foreach (var snapshot in directory.SubscribeAsync(service).WithCancellation(new CancellationTokenSource(TimeSpan.FromSeconds(30)).Token))
        {
            if (snapshot.Instances.Any(i => i.IsDraining))
            {
                break;
            }
        }

        // The caller's own pool learns of it at the same time; whether before or after this test is open.
        var calls = leaves.Calls;
        await Eventually.IsTrue(async () =>
        {
            calls = leaves.Calls;
            await CallAsync(10);
            return leaves.Calls == calls;
        });
        var others = stays.Calls;
        var gone = Eventually.IsTrue(async () => await client.GetAsync(key) is null);
        while (!gone.IsCompleted)
        {
            await CallAsync(10);
        }

        await gone;
        Assert.Equal(calls, leaves.Calls);
        Assert.NotEqual(others, stays.Calls);

        // 3. Its key is gone, and it still serves those who have not heard.
        await Task.Delay(TimeSpan.FromSeconds(0.5));
        using (var newcomer = new HttpClient())
        {
            Assert.Equal("ok", await newcomer.GetStringAsync(leaves.Url));
        }

        Assert.False(stop.IsCompleted);

        // 4. Closed.
        var url = new Uri(leaves.Url);
        await stop;
        using var socket = new TcpClient();
        await Assert.ThrowsAsync<SocketException>(() => socket.ConnectAsync(url.Host, url.Port));
        await CallAsync(50);
        Assert.Equal(0, failed);

        async Task CallAsync(int count)
        {
            for (var i = 0; i < count; i++)
            {
                try
                {
                    await http.GetStringAsync("/");
                }
                catch (HttpRequestException)
                {
                    failed++;
                }
            }
        }
    }

    private ServiceProvider CreateCaller(string service)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(
            new ConfigurationBuilder().AddInMemoryCollection([new("Etcd:Endpoints", node.Etcd.Endpoint), new("Etcd:Discovery:Policy", "RoundRobin")]).Build());
        services.AddHttpClient(service).AddEtcdDiscovery();
        return services.BuildServiceProvider();
    }
}
