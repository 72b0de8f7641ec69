using System.Diagnostics;
using Discovery.AspNetCore;
using Discovery.Etcd;
using Discovery.Etcd.Protocol;
using Discovery.IntegrationTests.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Xunit.Abstractions;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>etcd has no room left, or not for so much at once.</summary>
public sealed class FullEtcdTests(ITestOutputHelper output)
{
    private readonly string _service = NewService();

    [Fact]
    public async Task Without_space_what_stands_stays_what_starts_says_so_and_a_stop_takes_its_keys_away()
    {
        await using var etcd = await EtcdProcess.StartAsync(new EtcdProcessOptions
        {
            FastElections = true,
            ExtraArguments = ["--quota-backend-bytes", "200000"],
        });
        await using var first = await TestApp.StartAsync(
            etcd.Endpoint, _service, "TimeToLive=00:00:02;StopTimeout=00:00:01", static b => b.Services.AddHealthChecks().AddEtcd());
        await using var client = Clients.Connect(etcd.Endpoint);
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(first)).Status);
        await FillAsync(client);
        var health = await CheckAsync(first);
        Assert.Equal(HealthStatus.Degraded, health.Status);
        Assert.Contains("NOSPACE", health.Description, StringComparison.Ordinal);

        await using var second = TestApp.Build(etcd.Endpoint, _service, "StopTimeout=00:00:01");
        await second.StartAsync();
        await Eventually.IsTrue(() => second.Registration.Status.LastError?.Contains("etcdctl alarm disarm", StringComparison.Ordinal) == true);
        Assert.Equal(ServiceRegistrationState.Registering, second.State);
        var since = Stopwatch.StartNew();
        await Eventually.IsTrue(() => since.Elapsed > TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(6));
        Assert.Equal(ServiceRegistrationState.Registered, first.State);
        Assert.Single(await client.RecordsAsync(_service));
        Assert.Single(second.Log.At(LogLevel.Warning), static l => l.Contains("database space exceeded", StringComparison.Ordinal));

        since.Restart();
        await first.StopAsync();
        output.WriteLine($"a stop while etcd has no space: {since.Elapsed.TotalSeconds:0.0} s");
        Assert.Empty(await client.RecordsAsync(_service));

        await RoomAsync(etcd, client);
        Assert.Empty((await client.GetStatusAsync()).Errors);
        await second.Registration.SetWeightAsync(3, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(40));
        await second.ReachAsync(ServiceRegistrationState.Registered);
        Assert.Null(second.Registration.Status.LastError);
        await second.StopAsync();
    }

    [Fact]
    public async Task A_corrupt_cluster_is_told_as_such_and_registered_with_when_it_is_mended()
    {
        await using var etcd = await EtcdProcess.StartAsync(new EtcdProcessOptions { FastElections = true });
        await using var client = Clients.Connect(etcd.Endpoint);
        var maintenance = new Maintenance.MaintenanceClient(client.CreateCallInvoker());
        var member = (await maintenance.StatusAsync(new StatusRequest())).Header.MemberId;
        await maintenance.AlarmAsync(new AlarmRequest
        {
            Action = AlarmRequest.Types.AlarmAction.Activate, MemberID = member, Alarm = AlarmType.Corrupt,
        });

        await using var app = TestApp.Build(etcd.Endpoint, _service, "StopTimeout=00:00:01");
        await app.StartAsync();
        await Eventually.IsTrue(() => app.Registration.Status.LastError?.Contains("etcdctl alarm disarm", StringComparison.Ordinal) == true);
        Assert.Single(app.Log.At(LogLevel.Warning), static l => l.StartsWith("etcd refuses to keep", StringComparison.Ordinal));
        await using var failFast = TestApp.Build(etcd.Endpoint, _service, "FailFast=true;StopTimeout=00:00:01;/Etcd:RequestTimeout=00:10:00");
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => failFast.StartAsync().WaitAsync(TimeSpan.FromMinutes(1)));
        Assert.Contains("corrupt cluster", error.Message, StringComparison.Ordinal);

        await Etcdctl.RunAsync(etcd.Endpoint, "alarm", "disarm");
        await app.ReachAsync(ServiceRegistrationState.Registered);
    }

    [Fact]
    public async Task A_record_of_a_megabyte_is_registered_and_read_and_a_larger_one_is_refused_by_the_name_of_the_limit()
    {
        await using var etcd = await EtcdProcess.StartAsync(new EtcdProcessOptions { FastElections = true });
        await using var large = await TestApp.StartAsync(etcd.Endpoint, _service, $"Metadata:text={new string('x', 1_000_000)}");
        Assert.Equal(ServiceRegistrationState.Registered, large.State);
        await using var reader = new ServiceCollection()
            .AddSingleton<IConfiguration>(new ConfigurationBuilder().Build())
            .AddEtcdClient(o => o.Endpoints = [etcd.Endpoint])
            .AddEtcdDiscovery()
            .BuildServiceProvider();
        var snapshot = await reader.GetRequiredService<IServiceDirectory>().WaitForReadyAsync(_service);
        Assert.Equal(1_000_000, Assert.Single(snapshot.Instances).Metadata["text"].Length);

        await using var larger = TestApp.Build(etcd.Endpoint, _service, $"StopTimeout=00:00:01;Metadata:text={new string('x', 2_000_000)}");
        await larger.StartAsync();
        await Eventually.IsTrue(() => larger.Registration.Status.LastError?.Contains("1.5 MiB", StringComparison.Ordinal) == true);
        Assert.True(larger.Log.Lines.Sum(static l => l.Length) < 100_000, "The log does not repeat the value.");
    }

    private static async Task<HealthReportEntry> CheckAsync(TestApp app)
        => (await app.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Entries["etcd"];

    private static async Task FillAsync(EtcdClient client)
    {
        var error = await Record.ExceptionAsync(async () =>
        {
            for (var i = 0; i < 1000; i++)
            {
                await client.PutAsync($"filler/{i}", new byte[10_000]);
            }
        });
        Assert.Equal(EtcdErrorReason.NoSpace, Assert.IsType<EtcdException>(error).Reason);
    }

    private static async Task RoomAsync(EtcdProcess etcd, EtcdClient client)
    {
        await Etcdctl.RunAsync(etcd.Endpoint, "del", "--prefix", "filler/");
        await Etcdctl.RunAsync(etcd.Endpoint, "compact", (await client.GetStatusAsync()).Revision.ToString(System.Globalization.CultureInfo.InvariantCulture));
        await Etcdctl.RunAsync(etcd.Endpoint, "defrag");
        await Etcdctl.RunAsync(etcd.Endpoint, "alarm", "disarm");
    }
}
