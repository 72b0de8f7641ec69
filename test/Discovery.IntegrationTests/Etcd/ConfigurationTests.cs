using System.Globalization;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>Configuration from a real etcd.</summary>
public sealed class ConfigurationTests
{
    [Fact]
    public async Task A_thousand_reloads_are_seen_whole_and_an_outage_leaves_the_last_one()
    {
        const int Reloads = 1_000;
        await using var etcd = await EtcdProcess.StartAsync();
        await using var writer = Connect(etcd.Endpoint, o => o.RequestTimeout = TimeSpan.FromSeconds(20));
        var prefix = NewPrefix();
        await PutPairAsync(writer, prefix, 0);
        using var configuration = new ConfigurationManager();
        configuration["Etcd:Endpoints"] = etcd.Endpoint;
        configuration.AddEtcd(prefix);
        await using var services = new ServiceCollection().Configure<Pair>(configuration).BuildServiceProvider();
        var monitor = services.GetRequiredService<IOptionsMonitor<Pair>>();
        var (changes, torn) = (0, 0);
        using var subscription = monitor.OnChange(pair =>
        {
            Interlocked.Increment(ref changes);
            Interlocked.Add(ref torn, pair.One == pair.Two ? 0 : 1);
        });

        for (var i = 1; i <= Reloads; i++)
        {
            var revision = await PutPairAsync(writer, prefix, i);
            if (i == Reloads / 2)
            {
                await Etcdctl.RunAsync(etcd.Endpoint, "compact", $"{revision}");
                await etcd.KillAsync();
                Assert.Equal(monitor.CurrentValue.One, monitor.CurrentValue.Two);
                await etcd.RestartAsync();
            }
        }

        await Eventually.IsTrue(() => monitor.CurrentValue is { One: Reloads, Two: Reloads });
        Assert.Equal(0, torn);
        Assert.True(changes > 100, $"Only {changes} changes were seen.");
    }

    private static async Task<long> PutPairAsync(EtcdClient client, string prefix, int value)
    {
        var text = value.ToString(CultureInfo.InvariantCulture);
        var result = await client.ExecuteAsync(new EtcdTransaction
        {
            Then = { EtcdOperation.Put(prefix + "One", Bytes(text)), EtcdOperation.Put(prefix + "two.json", Bytes($$"""{ "Two": {{text}} }""")) },
        });
        return result.Revision;
    }

    public sealed class Pair
    {
        public int One { get; set; }

        public int Two { get; set; }
    }
}
