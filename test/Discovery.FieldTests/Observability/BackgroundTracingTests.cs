using System.Diagnostics;
using Discovery.AspNetCore;
using Discovery.EmbeddedEtcd;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.FieldTests.Observability;

/// <summary>The traces of what goes on beside calls.</summary>
[Collection(nameof(Alone))]
public sealed class BackgroundTracingTests
{
    [Fact]
    public async Task Registration_again_and_stop_are_traces_of_their_own()
    {
        await using var etcd = await EmbeddedEtcdServer.StartAsync();
        using var recorder = new ActivityRecorder("Discovery.AspNetCore");
        await using var application = Create(etcd.Endpoint);
        using var starting = ActivityRecorder.Start();
        await application.StartAsync();
        var registration = application.Services.GetRequiredService<IServiceRegistration>();
        var id = registration.Status.InstanceId;
        await Eventually.IsTrue(() => Of("discovery.register").Count == 1);
        Assert.True(etcd.ExpireLease(registration.Status.LeaseId));
        await Eventually.IsTrue(() => Of("discovery.register").Count == 2);
        await application.StopAsync();

        Assert.Same(starting, Activity.Current);
        Assert.Equal(true, Of("discovery.register")[1].GetTagItem("discovery.registration.again"));
        List<Activity> all = [.. Of("discovery.register"), Assert.Single(Of("discovery.drain")), Assert.Single(Of("discovery.deregister"))];
        Assert.All(all, static a => Assert.Equal((default, ActivityStatusCode.Unset), (a.ParentSpanId, a.Status)));
        Assert.Equal(4, all.Select(static a => a.TraceId).Distinct().Count());

        List<Activity> Of(string name)
            => [.. recorder.Ended.Where(a => a.OperationName == name && Equals(a.GetTagItem("discovery.instance"), id)).OrderBy(static a => a.StartTimeUtc)];
    }

    [Fact]
    public async Task A_stop_without_etcd_says_that_it_failed()
    {
        var etcd = await EmbeddedEtcdServer.StartAsync();
        using var recorder = new ActivityRecorder("Discovery.AspNetCore");
        await using var application = Create(etcd.Endpoint, static o => o.StopTimeout = TimeSpan.FromMilliseconds(200));
        await application.StartAsync();
        var registration = application.Services.GetRequiredService<IServiceRegistration>();
        await Eventually.IsTrue(() => registration.Status.State == ServiceRegistrationState.Registered);
        await etcd.DisposeAsync();
        await application.StopAsync();

        var id = registration.Status.InstanceId;
        var left = recorder.Ended.Single(a => a.OperationName == "discovery.deregister" && Equals(a.GetTagItem("discovery.instance"), id));
        Assert.Equal(("not_published", ActivityStatusCode.Error), (left.GetTagItem("error.type"), left.Status));
    }

    [Fact]
    public async Task A_watch_that_was_interrupted_has_an_activity_from_then_until_it_is_open_again()
    {
        await using var etcd = await EmbeddedEtcdServer.StartAsync();
        using var recorder = new ActivityRecorder("Discovery.AspNetCore");
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddEtcdClient(o => o.Endpoints = [etcd.Endpoint]);
        services.AddEtcdDiscovery();
        await using var provider = services.BuildServiceProvider();
        var directory = provider.GetRequiredService<IServiceDirectory>();
        const string Service = "interrupted";
        await directory.WaitForReadyAsync(Service);
        await Eventually.IsTrue(() => directory.GetStatus(Service).IsConnected);
        var before = DateTime.UtcNow;

        etcd.DropConnections();
        await Eventually.IsTrue(() => Reopens().Any());

        var reopen = Reopens().First();
        Assert.Equal(default, reopen.ParentSpanId);
        Assert.InRange(reopen.StartTimeUtc, before.AddSeconds(-1), DateTime.UtcNow);
        Assert.NotEmpty($"{reopen.GetTagItem("discovery.reopen.cause")}");

        IEnumerable<Activity> Reopens()
            => recorder.Ended.Where(static a => a.OperationName == "discovery.watch.reopen" && Equals(a.GetTagItem("discovery.service"), Service));
    }

    private static WebApplication Create(string endpoint, Action<EtcdRegistrationOptions>? configure = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        builder.Services.AddEtcdClient(o => o.Endpoints = [endpoint]);
        builder.Services.AddEtcdRegistration(o =>
        {
            (o.ServiceName, o.AllowLoopback, o.GracefulStop) = (Field.Service, true, false);
            configure?.Invoke(o);
        });
        return builder.Build();
    }
}
