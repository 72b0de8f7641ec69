using Discovery.AspNetCore;
using Discovery.EmbeddedEtcd;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.FieldTests.Observability;

/// <summary>Logs are quiet while nothing happens, and no flood whatever happens.</summary>
public sealed class LogFloodTests
{
    private static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    [Fact]
    public async Task A_thousand_changes_are_not_a_line_each()
    {
        await using var field = await Field.StartAsync();
        var services = field.Application(static s => s.AddHttpClient("client").AddEtcdDiscovery(Field.Service));
        var directory = services.GetRequiredService<IServiceDirectory>();
        await directory.WaitForReadyAsync(Field.Service);

        for (var i = 0; i < 500; i++)
        {
            await field.RegisterAsync(Field.DeadAddress(1 + (i % 100)));
            await field.DeregisterAsync(Field.DeadAddress(1 + (i % 100)));
        }

        await field.RegisterAsync(Field.DeadAddress(200));
        await Eventually.IsTrue(() => directory.GetSnapshot(Field.Service)!.Instances.Any(static i => i.Address == Field.DeadAddress(200)));
        Assert.InRange(Shown(field.Log).Count, 0, 40);
    }

    [Fact]
    public async Task A_hundred_flapping_instances_are_not_a_line_each_time()
    {
        await using var field = await Field.StartAsync();
        var isUp = true;
        for (var i = 0; i < 3; i++)
        {
            await field.StartServerAsync(c =>
            {
                c.Response.StatusCode = Volatile.Read(ref isUp) ? 200 : 500;
                return Task.CompletedTask;
            });
        }

        for (var i = 0; i < 100; i++)
        {
            await field.RegisterAsync(Field.DeadAddress(i));
        }

        using var client = field.Client(static o =>
        {
            o.Policy = "RoundRobin";
            o.Ejection.BaseDuration = TimeSpan.FromMilliseconds(100);
            o.Ejection.MaxDuration = TimeSpan.FromMilliseconds(200);
        });
        for (var i = 0; i < 1000; i++)
        {
            Volatile.Write(ref isUp, i % 50 < 25);
            try
            {
                using var response = await client.GetAsync("x");
            }
            catch (HttpRequestException)
            {
                // As calls to dead instances end.
            }
        }

        Assert.NotEmpty(Shown(field.Log));
        Assert.InRange(Shown(field.Log).Count, 1, 100);
    }

    [Fact]
    public async Task A_thousand_bad_records_are_named_up_to_a_limit()
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 1000; i++)
        {
            await field.PutAsync($"services/{Field.Service}/bad-{i}", "{");
        }

        var services = field.Application(static s => s.AddEtcdDiscovery());
        await services.GetRequiredService<IServiceDirectory>().WaitForReadyAsync(Field.Service);

        Assert.Equal(1000, services.GetRequiredService<IServiceDirectory>().GetStatus(Field.Service).SkippedRecords);
        Assert.InRange(Shown(field.Log).Count, 1, 101);
    }

    [Fact]
    public async Task Ten_quiet_minutes_are_silent()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        using var log = new LogRecorder();
        await using var etcd = await EmbeddedEtcdServer.StartAsync(new EmbeddedEtcdOptions { TimeProvider = clock });
        await using var application = Application(etcd.Endpoint, clock, log);
        await application.StartAsync();
        var registration = application.Services.GetRequiredService<IServiceRegistration>();
        var directory = application.Services.GetRequiredService<IServiceDirectory>();
        using var client = application.Services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        await Eventually.IsTrue(() => registration.Status.State == ServiceRegistrationState.Registered);
        Assert.Equal("here", await client.GetStringAsync("http://svc/"));
        await Eventually.IsTrue(() => directory.GetStatus(Field.Service).IsConnected);

        // Which is written a moment after it is so.
        await Eventually.IsTrue(() => log.Has(LogLevel.Information, "Registered in etcd"));
        var before = Shown(log).Count;

        for (var passed = TimeSpan.Zero; passed < TimeSpan.FromMinutes(10); passed += Step)
        {
            clock.Advance(Step);
            Assert.Equal("here", await client.GetStringAsync("http://svc/"));

            // What is due is answered before the clock goes on for as long as would count as silence: the lease is renewed when 20 s are left, where
            // an attempt has 10 s, and a silent watch is asked after 9 s, which has 5 s for its answer.
            await Eventually.IsTrue(() => registration.Status.LeaseRemaining > registration.Status.LeaseTimeToLive / 2);
            await Eventually.IsTrue(() => directory.GetStatus(Field.Service).Age < TimeSpan.FromSeconds(13));
        }

        var lines = Shown(log)[before..];
        Assert.True(lines.Count == 0, string.Join('\n', lines));
        await application.StopAsync();
    }

    private static List<string> Shown(LogRecorder log)
        => [.. log.Lines.Where(static l => !l.StartsWith("Debug", StringComparison.Ordinal) && !l.StartsWith("Trace", StringComparison.Ordinal)
            && !l.Contains("HTTP request", StringComparison.Ordinal) && !l.Contains("HTTP response", StringComparison.Ordinal))];

    private static WebApplication Application(string endpoint, TimeProvider clock, LogRecorder log)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(log).AddFilter("Microsoft", LogLevel.Warning).AddFilter("System", LogLevel.Warning);
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        builder.Services.AddKeyedSingleton(EtcdServiceKeys.TimeProvider, clock);
        builder.Services.AddEtcdClient(o => (o.Endpoints, o.AttemptTimeout, o.RequestTimeout) = ([endpoint], TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(20)));
        builder.Services.AddEtcdRegistration(static o => (o.ServiceName, o.AllowLoopback, o.GracefulStop, o.TimeToLive) = (Field.Service, true, false, TimeSpan.FromSeconds(30)));
        builder.Services.AddHttpClient("client").AddEtcdDiscovery(Field.Service);
        var application = builder.Build();
        application.MapGet("/", static () => "here");
        return application;
    }
}
