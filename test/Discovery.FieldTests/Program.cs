using System.Globalization;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.FieldTests;

/// <summary>
/// An application for which names stand for other addresses than for the tests, or that has less of its machine: this assembly, run by itself. The test
/// runner does not come through here.
/// </summary>
internal static class Program
{
    private static async Task<int> Main(string[] arguments)
    {
        switch (arguments)
        {
            case ["call", var etcd, var lifetime]:
                await CallAsync(etcd, TimeSpan.FromSeconds(int.Parse(lifetime, CultureInfo.InvariantCulture)));
                return 0;
            case ["exhaust", var etcd]:
                await ExhaustAsync(etcd);
                return 0;
            default:
                await Console.Error.WriteLineAsync("call <etcd> <seconds>   calls the service for ever, over connections that live that long, and prints the answers");
                await Console.Error.WriteLineAsync("exhaust <etcd>          calls the service without a handle left, and with some again");
                return 2;
        }
    }

    private static ServiceProvider CreateServices(string etcd, Action<SocketsHttpHandler> configure, ILoggerProvider? log = null)
    {
        var services = new ServiceCollection();
        services.AddLogging(l => _ = log is null ? l : l.AddProvider(log));
        services.AddEtcdClient(o => o.Endpoints = [etcd]);
        services.AddEtcdDiscovery(static o => (o.ConnectTimeout, o.ReadyTimeout, o.AllowLoopback) = (TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(30), true));
        services.AddHttpClient("client").AddEtcdDiscovery(Field.Service).ConfigureEtcdTransport(configure);
        return services.BuildServiceProvider();
    }

    private static async Task CallAsync(string etcd, TimeSpan lifetime)
    {
        await using var provider = CreateServices(etcd, t => t.PooledConnectionLifetime = lifetime);
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

    private static async Task ExhaustAsync(string etcd)
    {
        using var log = new LogRecorder();

        // Each call dials.
        await using var provider = CreateServices(etcd, static t => t.PooledConnectionLifetime = TimeSpan.Zero, log);
        using var client = provider.GetRequiredService<IHttpClientFactory>().CreateClient("client");

        // What a call and a failure to connect need is loaded before there is no handle left to load it by.
        await CallAllAsync(client);
        using (var toNobody = new HttpRequestMessage(HttpMethod.Get, "x"))
        {
            toNobody.Options.Set(EtcdRequestOptions.Instance, "dead");
            await ((Task)client.SendAsync(toNobody)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        var handles = new List<IDisposable>();
        var (_, failed, error) = await CallAllAsync(client, before: () => TakeAllTo(handles));
        handles.ForEach(static h => h.Dispose());
        Console.WriteLine($"failed {failed}, {error}");
        var (answered, _, _) = await CallAllAsync(client);
        Console.WriteLine($"answered {answered}");
        foreach (var line in log.Lines.Where(static l => l.Contains("failing", StringComparison.Ordinal)))
        {
            Console.WriteLine(line);
        }
    }

    private static void TakeAllTo(List<IDisposable> handles)
    {
        try
        {
            while (true)
            {
                handles.Add(File.OpenHandle("/dev/null"));
            }
        }
        catch (IOException)
        {
            // Now there is none left.
        }
    }

    private static async Task<(int Answered, int Failed, string? Error)> CallAllAsync(HttpClient client, Action? before = null)
    {
        var (answered, failed, error) = (0, 0, (string?)null);
        while (answered + failed < 20)
        {
            before?.Invoke();
            try
            {
                await client.GetStringAsync("x");
                answered++;
            }
            catch (HttpRequestException e)
            {
                failed++;
                error = e.InnerException?.Message ?? e.Message;
            }
        }

        return (answered, failed, error);
    }
}
