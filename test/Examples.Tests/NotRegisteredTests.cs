using Discovery.AspNetCore;
using Discovery.EmbeddedEtcd;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Examples.Tests;

/// <summary>What docs/testing.md shows of servers that are not registered. Each has an etcd of its own: those that left another may still write to it.</summary>
public sealed class NotRegisteredTests
{
    [Fact]
    public async Task A_server_under_the_test_server_is_not_registered_and_says_so()
    {
        using var log = new LogRecorder();
        await using var etcd = await EmbeddedEtcdServer.StartAsync();
        var revision = etcd.Revision;
        await using var server = new GreeterServer(("Etcd:Endpoints", etcd.Endpoint))
            .WithWebHostBuilder(host => host.ConfigureLogging(logging => logging.AddProvider(log)));

        var registration = server.Services.GetRequiredService<IServiceRegistration>();

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (registration.Status.State != ServiceRegistrationState.NoAddress)
        {
            await Task.Delay(10, limit.Token);
        }

        Assert.True(log.Has(LogLevel.Warning, "not registered", "no network addresses"));
        Assert.Equal(revision, etcd.Revision);
    }

    [Fact]
    public async Task Registration_can_be_switched_off()
    {
        await using var etcd = await EmbeddedEtcdServer.StartAsync();
        var revision = etcd.Revision;
        await using var server = new GreeterServer(
            ("Etcd:Endpoints", etcd.Endpoint), ("Kestrel:Endpoints:Grpc:Url", "http://127.0.0.1:0"), ("Etcd:Registration:Enabled", "false"));
        server.UseKestrel();
        server.StartServer();

        var registration = server.Services.GetRequiredService<IServiceRegistration>();

        await Eventually.IsTrue(() => registration.Status.State == ServiceRegistrationState.Disabled);
        Assert.Equal(revision, etcd.Revision);
    }
}
