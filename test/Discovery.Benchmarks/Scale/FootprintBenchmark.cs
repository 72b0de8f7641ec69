using System.Globalization;
using Discovery.Benchmarks.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.Benchmarks.Scale;

/// <summary>
/// <c>footprint</c>: what an application that registers itself and watches 1, 10, 100 or 1,000 services costs etcd, by etcd's own metrics.
/// </summary>
internal static class FootprintBenchmark
{
    private static readonly int[] Sizes = [1, 10, 100, 1_000];

    public static async Task RunAsync(Report report, bool isQuick)
    {
        await using var etcd = await EtcdProcess.StartAsync();
        using var http = new HttpClient();
        using (var writer = new RawEtcd(etcd.Endpoint))
        {
            await writer.PutAllAsync(Enumerable.Range(0, Sizes[^1]).Select(static i => (Records.KeyOf(NameOf(i), Records.AddressOf(i)), Records.ValueOf(NameOf(i), Records.AddressOf(i)))));
        }

        foreach (var size in Sizes)
        {
            await MeasureAsync(report, etcd, http, size, window: TimeSpan.FromSeconds(isQuick ? 10 : 60));
        }

        Report.Note("Besides, each service is listed once in RelistInterval (5 minutes), which no window here is long enough to see.");
    }

    private static async Task MeasureAsync(Report report, EtcdProcess etcd, HttpClient http, int size, TimeSpan window)
    {
        // What the size before had is gone.
        EtcdCounters? last = null;
        await Eventually.IsTrue(async () =>
        {
            var now = await EtcdCounters.ReadAsync(http, etcd);
            var isSettled = now == last && now is { WatchStreams: 0, Watches: 0 };
            last = now;
            return isSettled;
        });
        var before = last!;
        await using var app = BuildApplication(etcd.Endpoint);
        await app.StartAsync();
        var directory = app.Services.GetRequiredService<IServiceDirectory>();
        await Task.WhenAll(Enumerable.Range(0, size).Select(i => directory.WaitForReadyAsync(NameOf(i)).AsTask()));
        await Eventually.IsTrue(() => directory.Services.All(static s => s.IsConnected));
        await Eventually.IsTrue(() => app.Services.GetRequiredService<IServiceRegistration>().Status.Keys.Count > 0);
        var ready = await EtcdCounters.ReadAsync(http, etcd);
        await Task.Delay(window);
        var after = await EtcdCounters.ReadAsync(http, etcd);
        var cost = after.Since(before);
        var name = string.Create(CultureInfo.InvariantCulture, $"{size:N0} services");
        report.AddValue("footprint", name + ", connections", "", cost.Connections, 2);
        report.AddValue("footprint", "  watch streams", "", cost.WatchStreams, 1);
        report.AddValue("footprint", "  watches", "", cost.Watches, null);
        report.AddValue("footprint", "  leases", "", cost.Leases, 1);
        report.AddValue("footprint", "  requests to start", "", ready.Since(before).Requests, null);
        report.AddValue("footprint", "  requests a minute", "", after.Since(ready).Requests / window.TotalMinutes, null);
        await app.StopAsync();
    }

    private static string NameOf(int number) => string.Create(CultureInfo.InvariantCulture, $"footprint-{number:0000}");

    private static WebApplication BuildApplication(string etcd)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration["Etcd:Endpoints"] = etcd;
        builder.Configuration["Etcd:Registration:ServiceName"] = "footprint";
        builder.Configuration["Etcd:Registration:DrainDelay"] = "0";
        builder.Configuration["Etcd:Registration:LeaveDelay"] = "0";
        builder.Services.AddEtcdRegistration();
        builder.Services.AddEtcdDiscovery();
        return builder.Build();
    }
}
