using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.Benchmarks.Changes;

/// <summary>
/// From the word of an application that it is in service to the first call that reaches it, and from its word that it drains to the last new
/// one, while a client calls without a pause. Beside it somebody who goes by a bare watch connects and calls as soon as the instance is there.
/// </summary>
internal sealed class RegistrationLatency(string etcd)
{
    private const string Service = "registration-latency";
    private const int Callers = 4;
    private const string BarePath = "/bare";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private TaskCompletionSource<long> _firstCall = NewSighting();
    private TaskCompletionSource<long> _bareCall = NewSighting();
    private long _lastCallAt;

    public async Task RunAsync(Report report, int rounds)
    {
        await using var other = await StartServerAsync(static _ => { });
        await using var server = await StartServerAsync(OnCall);
        var registration = server.Services.GetRequiredService<IServiceRegistration>();
        await Eventually.IsTrue(() => registration.Status.Keys.Count > 0);
        var key = registration.Status.Keys[0];
        var bareUri = new Uri(new Uri(server.Urls.First()), BarePath);
        var services = BenchServices.Create(("Etcd:Endpoints", etcd), ("Etcd:Discovery:Policy", BalancingPolicies.RoundRobin));
        services.AddHttpClient("client").AddEtcdDiscovery(Service);
        await using var provider = services.BuildServiceProvider();
        using var client = provider.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        using var stop = new CancellationTokenSource();
        var callers = Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(() => CallAsync(client, stop.Token))));
        await registration.WithdrawAsync();

        var (firstCalls, bareCalls, lastCalls) = (new List<double>(), new List<double>(), new List<double>());
        var (puts, drains) = (new List<double>(), new List<double>());
        const int WarmUps = 2;
        for (var round = 0; round < rounds + WarmUps; round++)
        {
            await ChangesBenchmark.PauseAsync();
            await using var watch = await RawWatch.StartAsync(etcd, Records.PrefixOf(Service));
            (_firstCall, _bareCall) = (NewSighting(), NewSighting());
            var since = Stopwatch.GetTimestamp();
            var calling = CallOnceKnownAsync(watch, key, bareUri);
            await registration.RestoreAsync();
            var first = Stopwatch.GetElapsedTime(since, await _firstCall.Task.WaitAsync(Limit)).TotalMilliseconds;
            var bare = Stopwatch.GetElapsedTime(since, await _bareCall.Task.WaitAsync(Limit)).TotalMilliseconds;
            var put = await watch.Sightings.WaitAsync("put " + key, since);
            await calling;

            await ChangesBenchmark.PauseAsync();
            since = Stopwatch.GetTimestamp();
            await registration.WithdrawAsync();
            var drained = await watch.Sightings.WaitAsync("draining " + key, since);
            await ChangesBenchmark.PauseAsync();
            var last = Stopwatch.GetElapsedTime(since, Volatile.Read(ref _lastCallAt)).TotalMilliseconds;
            if (round >= WarmUps)
            {
                firstCalls.Add(first);
                bareCalls.Add(bare);
                puts.Add(put);
                lastCalls.Add(last);
                drains.Add(drained);
            }
        }

        await stop.CancelAsync();
        await callers;
        ChangesBenchmark.Add(report, "register to first call", firstCalls, puts);
        ChangesBenchmark.Add(report, "  beside connecting after a bare watch", firstCalls, bareCalls);
        ChangesBenchmark.Add(report, "drain to last new call", lastCalls, drains);
    }

    private static async Task CallAsync(HttpClient client, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await client.GetStringAsync("x", CancellationToken.None);
        }
    }

    /// <summary>What is left to do for whoever goes by a bare watch.</summary>
    private static async Task CallOnceKnownAsync(RawWatch watch, string key, Uri uri)
    {
        await watch.Sightings.WaitAsync("put " + key, since: 0);
        using var client = new HttpClient();
        await client.GetStringAsync(uri);
    }

    private static TaskCompletionSource<long> NewSighting() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void OnCall(HttpRequest request)
    {
        var now = Stopwatch.GetTimestamp();
        if (request.Path == BarePath)
        {
            _bareCall.TrySetResult(now);
            return;
        }

        Volatile.Write(ref _lastCallAt, now);
        _firstCall.TrySetResult(now);
    }

    private async Task<WebApplication> StartServerAsync(Action<HttpRequest> onCall)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration["Etcd:Endpoints"] = etcd;
        builder.Configuration["Etcd:Registration:ServiceName"] = Service;
        builder.Configuration["Etcd:Registration:DrainDelay"] = "00:00:00.2";
        builder.Configuration["Etcd:Registration:LeaveDelay"] = "0";
        builder.Services.AddEtcdRegistration();
        var app = builder.Build();
        app.Run(context =>
        {
            onCall(context.Request);
            return context.Response.WriteAsync("ok");
        });
        await app.StartAsync();
        return app;
    }
}
