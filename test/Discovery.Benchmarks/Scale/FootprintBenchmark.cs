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
    /// <summary>Flat: what one service costs, and what counting a few requests may be off by.</summary>
    private const double MostOfOne = 1.5;

    private static readonly int[] Sizes = [1, 10, 100, 1_000];
    private static readonly TimeSpan OftenRelist = TimeSpan.FromSeconds(10);

    public static async Task RunAsync(Report report, bool isQuick)
    {
        await using var etcd = await EtcdProcess.StartAsync();
        using var http = new HttpClient();
        using (var writer = new RawEtcd(etcd.Endpoint))
        {
            await writer.PutAllAsync(Enumerable.Range(0, Sizes[^1]).Select(static i => (Records.KeyOf(NameOf(i), Records.AddressOf(i)), Records.ValueOf(NameOf(i), Records.AddressOf(i)))));
        }

        var window = TimeSpan.FromSeconds(isQuick ? 10 : 60);
        var one = double.NaN;
        foreach (var size in Sizes)
        {
            var requests = await MeasureAsync(report, etcd, http, size, window, relist: null);
            one = size == 1 ? requests : one;
            if (size == Sizes[^1])
            {
                report.AddRatioAtMost("footprint", "    by those of one service", "", requests, one, MostOfOne);
            }
        }

        // Each service is listed again once in RelistInterval, which by default no window here is long enough to see.
        foreach (var size in Sizes)
        {
            await MeasureAsync(report, etcd, http, size, 2 * OftenRelist, OftenRelist);
        }

        Report.Note("With the default RelistInterval, of 5 minutes, there are a thirtieth as many lists.");
    }

    /// <returns>Requests a minute.</returns>
    private static async Task<double> MeasureAsync(Report report, EtcdProcess etcd, HttpClient http, int size, TimeSpan window, TimeSpan? relist)
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
        await using var app = BuildApplication(etcd.Endpoint, relist);
        await app.StartAsync();
        var directory = app.Services.GetRequiredService<IServiceDirectory>();
        await Task.WhenAll(Enumerable.Range(0, size).Select(i => directory.WaitForReadyAsync(NameOf(i)).AsTask()));
        await Eventually.IsTrue(() => directory.Services.All(static s => s.IsConnected));
        await Eventually.IsTrue(() => app.Services.GetRequiredService<IServiceRegistration>().Status.Keys.Count > 0);
        var ready = await EtcdCounters.ReadAsync(http, etcd);
        await Task.Delay(window);
        var after = await EtcdCounters.ReadAsync(http, etcd);
        var cost = after.Since(before);
        var perMinute = after.Since(ready).Requests / window.TotalMinutes;
        var name = string.Create(CultureInfo.InvariantCulture, $"{size:N0} services");
        if (relist is { } interval)
        {
            report.AddValue("footprint", string.Create(CultureInfo.InvariantCulture, $"{name} listed each {interval.TotalSeconds:0} s, requests a minute"), "", perMinute, null);
            await app.StopAsync();
            return perMinute;
        }

        report.AddValue("footprint", name + ", connections", "", cost.Connections, 2);
        report.AddValue("footprint", "  watch streams", "", cost.WatchStreams, 1);
        report.AddValue("footprint", "  watches", "", cost.Watches, null);
        report.AddValue("footprint", "  leases", "", cost.Leases, 1);
        report.AddValue("footprint", "  requests to start", "", ready.Since(before).Requests, null);
        report.AddValue("footprint", "  requests a minute", "", perMinute, null);
        await app.StopAsync();
        return perMinute;
    }

    private static string NameOf(int number) => string.Create(CultureInfo.InvariantCulture, $"footprint-{number:0000}");

    private static WebApplication BuildApplication(string etcd, TimeSpan? relist)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration["Etcd:Endpoints"] = etcd;
        builder.Configuration["Etcd:Registration:ServiceName"] = "footprint";
        builder.Configuration["Etcd:Registration:DrainDelay"] = "0";
        builder.Configuration["Etcd:Registration:LeaveDelay"] = "0";
        builder.Services.AddEtcdRegistration();
        builder.Services.AddEtcdDiscovery(o => o.RelistInterval = relist ?? o.RelistInterval);
        return builder.Build();
    }
}
