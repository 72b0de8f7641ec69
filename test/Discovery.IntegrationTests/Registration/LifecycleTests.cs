using Discovery.AspNetCore;
using Discovery.Etcd;
using Discovery.IntegrationTests.Etcd;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>From the first put to the last delete, as etcd sees it.</summary>
public sealed class LifecycleTests(OneNode node) : IClassFixture<OneNode>
{
    private readonly string _service = NewService();

    [Fact]
    public async Task Both_layouts_stand_under_one_lease_and_are_gone_at_once_after_the_stop()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(
            node.Etcd.Endpoint, _service, "Layout=OpenIm,EtcdNaming;InstanceId=i1;AdvertisedHost=10.1.2.3;AdvertisedPort=5000");

        Assert.Equal(ServiceRegistrationState.Registered, app.State);
        var naming = (await client.GetAsync($"services/{_service}/10.1.2.3:5000"))!;
        var openIm = (await client.GetAsync($"openim:///{_service}/10.1.2.3:5000"))!;
        Assert.Equal("""{"Op":0,"Addr":"10.1.2.3:5000","Metadata":"{\"id\":\"i1\",\"scheme\":\"http\",\"protocols\":\"h1\"}"}""", naming.Text());
        Assert.Equal("10.1.2.3:5000", openIm.Text());
        Assert.NotEqual(0, naming.LeaseId);
        Assert.Equal(naming.LeaseId, openIm.LeaseId);
        Assert.Equal(naming.LeaseId, app.Registration.Status.LeaseId);

        await app.StopAsync();

        Assert.Equal(ServiceRegistrationState.Stopped, app.State);
        Assert.Null(await client.GetAsync(naming.Key));
        Assert.Null(await client.GetAsync(openIm.Key));
        Assert.Null(await client.RenewLeaseAsync(naming.LeaseId));
    }

    [Fact]
    public async Task An_application_whose_start_fails_after_it_registered_leaves_at_once()
    {
        await using var client = node.Connect();
        await using (var app = TestApp.Build(
            node.Etcd.Endpoint, _service, "FailFast=true", builder => builder.Services.AddHostedService<FailsWhenStarted>()))
        {
            await Assert.ThrowsAsync<InvalidOperationException>(() => app.StartAsync());
            Assert.Single(await client.RecordsAsync(_service));
        }

        Assert.Empty(await client.RecordsAsync(_service));
    }

    [Fact]
    public async Task A_successors_key_outlives_its_predecessor_whatever_that_one_does()
    {
        await using var client = node.Connect();
        const string Address = "AdvertisedHost=10.1.2.3;AdvertisedPort=5000;Layout=EtcdNaming,OpenIm;";
        await using var old = await TestApp.StartAsync(node.Etcd.Endpoint, _service, Address + "InstanceId=old");
        await using var successor = await TestApp.StartAsync(node.Etcd.Endpoint, _service, Address + "InstanceId=new");
        await Eventually.IsTrue(() => old.Log.Has(LogLevel.Error, "owned by another process", "openim:///"));
        await Eventually.IsTrue(() => old.Log.Has(LogLevel.Error, "owned by another process", "services/"));
        Assert.Contains("owned by another process", old.Registration.Status.LastError!, StringComparison.Ordinal);
        var standing = Assert.Single(await client.RecordsAsync(_service));
        Assert.Equal("new", standing.Metadata().GetProperty("id").GetString());

        await old.Registration.SetWeightAsync(77);
        await old.Registration.WithdrawAsync();
        await old.Registration.RestoreAsync().WaitAsync(TimeSpan.FromSeconds(10));
        var claimed = Assert.Single(await client.RecordsAsync(_service));
        Assert.Equal("old", claimed.Metadata().GetProperty("id").GetString());
        await successor.Registration.WithdrawAsync();
        await successor.Registration.RestoreAsync();
        standing = Assert.Single(await client.RecordsAsync(_service));
        Assert.Equal("new", standing.Metadata().GetProperty("id").GetString());

        await Eventually.IsTrue(() => old.State == ServiceRegistrationState.Registering);
        await old.StopAsync();
        Assert.Equal(standing, Assert.Single(await client.RecordsAsync(_service)), (a, b) => a.ModRevision == b.ModRevision);
        Assert.NotNull(await client.GetAsync($"openim:///{_service}/10.1.2.3:5000"));

        await successor.StopAsync();
        Assert.Empty(await client.RecordsAsync(_service));
    }

    [Fact]
    public async Task A_taken_key_comes_back_when_whoever_took_it_is_gone()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service, "AdvertisedHost=10.1.2.3;AdvertisedPort=5000;InstanceId=a");
        await using (var other = await TestApp.StartAsync(node.Etcd.Endpoint, _service, "AdvertisedHost=10.1.2.3;AdvertisedPort=5000;InstanceId=b"))
        {
            await app.ReachAsync(ServiceRegistrationState.Registering);
            await Eventually.IsTrue(() => app.Registration.Status.LastError is not null);
            await other.StopAsync();
        }

        await app.ReachAsync(ServiceRegistrationState.Registered);
        await Eventually.IsTrue(() => app.Registration.Status.LastError is null);
        Assert.Equal("a", Assert.Single(await client.RecordsAsync(_service)).Metadata().GetProperty("id").GetString());
    }

    [Fact]
    public async Task A_key_that_somebody_deletes_comes_back()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service);
        var before = Assert.Single(await client.RecordsAsync(_service));

        Assert.True(await client.DeleteAsync(before.Key));

        await Eventually.IsTrue(async () => await client.GetAsync(before.Key) is { } after && after.Text() == before.Text());
    }

    [Fact]
    public async Task A_key_that_somebody_overwrites_by_hand_is_left_alone_with_advice_and_comes_back_when_it_is_deleted()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service);
        var before = Assert.Single(await client.RecordsAsync(_service));

        await client.PutAsync(before.Key, Clients.Bytes("by hand"));

        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Error, "overwritten without a lease", $"'etcdctl del {before.Key}'"));
        Assert.DoesNotContain("another process", app.Registration.Status.LastError!, StringComparison.Ordinal);
        await app.ReachAsync(ServiceRegistrationState.Registering);

        await client.DeleteAsync(before.Key);

        await Eventually.IsTrue(async () => await client.GetAsync(before.Key) is { } after && after.Text() == before.Text());
        await app.ReachAsync(ServiceRegistrationState.Registered);
        Assert.Null(app.Registration.Status.LastError);
    }

    [Fact]
    public async Task A_lease_that_somebody_revokes_is_replaced()
    {
        await using var client = node.Connect();
        await using var app = await TestApp.StartAsync(node.Etcd.Endpoint, _service);
        var before = Assert.Single(await client.RecordsAsync(_service));

        await client.RevokeLeaseAsync(before.LeaseId);

        await Eventually.IsTrue(async () => await client.RecordsAsync(_service) is [var after] && after.LeaseId != before.LeaseId);
        await app.ReachAsync(ServiceRegistrationState.Registered);
    }

    [Fact]
    public async Task Two_processes_with_one_id_are_reported_and_a_crashed_predecessor_is_not()
    {
        await using var client = node.Connect();
        var crashed = await client.GrantLeaseAsync(TimeSpan.FromSeconds(2));
        await client.PutAsync(
            $"services/{_service}-1/10.9.9.9:1", Clients.Bytes("""{"Op":0,"Addr":"10.9.9.9:1","Metadata":{"id":"twin"}}"""), crashed.Id);
        await using var restarted = await TestApp.StartAsync(node.Etcd.Endpoint, _service + "-1", "InstanceId=twin;TimeToLive=00:00:02");
        await using var first = await TestApp.StartAsync(node.Etcd.Endpoint, _service, "InstanceId=twin;TimeToLive=00:00:02");
        await using var second = await TestApp.StartAsync(node.Etcd.Endpoint, _service, "InstanceId=twin;TimeToLive=00:00:02");

        await Eventually.IsTrue(() => second.Log.Has(LogLevel.Error, "'twin'", first.Keys[0], "Etcd:Registration:InstanceId"));
        Assert.Contains("'twin'", second.Registration.Status.LastError!, StringComparison.Ordinal);
        Assert.DoesNotContain(restarted.Log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_test_server_has_no_address_and_registers_only_what_is_set()
    {
        await using var client = node.Connect();
        await using (var app = TestApp.Build(node.Etcd.Endpoint, _service, configure: b => b.WebHost.UseTestServer()))
        {
            await app.StartAsync();
            await app.ReachAsync(ServiceRegistrationState.NoAddress);
            Assert.True(app.Log.Has(LogLevel.Warning, "no network addresses", "Etcd:Registration:AdvertisedUrls"));
            await app.StopAsync();
            Assert.False(app.Log.Has(LogLevel.Information, "left etcd"));
        }

        await using var advertised = TestApp.Build(
            node.Etcd.Endpoint, _service, "InstanceId=i1;AdvertisedUrls=http://10.1.2.3:5000", b => b.WebHost.UseTestServer());
        await advertised.StartAsync();
        await advertised.ReachAsync(ServiceRegistrationState.Registered);
        Assert.Equal($"services/{_service}/10.1.2.3:5000/i1", Assert.Single(await client.RecordsAsync(_service)).Key);
    }

    [Fact]
    public async Task A_generic_host_registers_what_is_set()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Configuration.AddInMemoryCollection(
        [
            new("Etcd:Endpoints", node.Etcd.Endpoint),
            new("Etcd:Registration:ServiceName", _service),
            new("Etcd:Registration:AdvertisedUrls", "http://10.1.2.3:5000"),
            new("Etcd:Registration:InstanceId", "worker"),
        ]);
        builder.Services.AddEtcdRegistration(options => (options.DrainDelay, options.LeaveDelay) = (TimeSpan.Zero, TimeSpan.Zero));
        using var host = builder.Build();
        await using var client = node.Connect();

        await host.StartAsync();
        var registration = host.Services.GetRequiredService<IServiceRegistration>();
        await Eventually.IsTrue(() => registration.Status.State == ServiceRegistrationState.Registered);
        Assert.Equal($"services/{_service}/10.1.2.3:5000/worker", Assert.Single(await client.RecordsAsync(_service)).Key);

        await host.StopAsync();
        Assert.Empty(await client.RecordsAsync(_service));
    }

    private sealed class FailsWhenStarted : IHostedLifecycleService
    {
        public Task StartedAsync(CancellationToken cancellationToken) => throw new InvalidOperationException("Started in vain.");

        public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
