using System.Globalization;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>
/// An application for which names stand for other addresses than for the tests: this assembly, run by itself. The test runner does not come
/// through here.
/// </summary>
internal static class Program
{
    private static async Task<int> Main(string[] arguments)
    {
        if (arguments is not ["call", var etcd, var lifetime])
        {
            await Console.Error.WriteLineAsync("call <etcd> <seconds>   calls the service for ever, over connections that live that long, and prints the answers");
            return 2;
        }

        await CallAsync(etcd, TimeSpan.FromSeconds(int.Parse(lifetime, CultureInfo.InvariantCulture)));
        return 0;
    }

    private static async Task CallAsync(string etcd, TimeSpan lifetime)
    {
        var services = new ServiceCollection();
        services.AddEtcdClient(o => o.Endpoints = [etcd]);
        services.AddEtcdDiscovery(static o => (o.ConnectTimeout, o.ReadyTimeout, o.AllowLoopback) = (TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(30), true));
        services.AddHttpClient("client").AddEtcdDiscovery(Field.Service).ConfigureEtcdTransport(t => t.PooledConnectionLifetime = lifetime);
        await using var provider = services.BuildServiceProvider();
        using var client = provider.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        while (true)
        {
            try
            {
                Console.WriteLine($"answer {await client.GetStringAsync("x")}");
            }
            catch (HttpRequestException e)
            {
                Console.WriteLine($"failed {e.Message}");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100));
        }
    }
}
