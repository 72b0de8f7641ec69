using Discovery.AspNetCore;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Examples.Tests;

/// <summary>What docs/testing.md shows.</summary>
public sealed class TestingPageTests(EtcdFixture etcd) : IClassFixture<EtcdFixture>
{
    [Fact]
    public async Task An_application_finds_its_services_in_an_embedded_etcd()
    {
        await using var server = GreeterServer.StartOnKestrel(etcd.Endpoint);
        await using var application = new WebApplicationFactory<Program>().WithWebHostBuilder(host =>
            host.UseSetting("Etcd:Endpoints", etcd.Endpoint));
        using var client = application.CreateClient();

        Assert.Equal($"Hello you from {server.Address}", await client.GetStringAsync("/greet/you"));
    }

    [Fact]
    public async Task A_service_has_static_instances()
    {
        await using var server = GreeterServer.StartOnKestrel(etcd.Endpoint);
        await using var application = new WebApplicationFactory<Program>().WithWebHostBuilder(host =>
            host.UseSetting("Etcd:Discovery:Services:greeter:Instances", server.Address));
        using var client = application.CreateClient();

        Assert.Equal($"Hello you from {server.Address}", await client.GetStringAsync("/greet/you"));
    }

    [Fact]
    public async Task The_directory_is_a_fake()
    {
        await using var server = GreeterServer.StartOnKestrel(etcd.Endpoint);
        await using var application = new WebApplicationFactory<Program>().WithWebHostBuilder(host =>
            host.ConfigureTestServices(services =>
                services.AddSingleton<IServiceDirectory>(new OneInstance("127.0.0.1", server.ClientOptions.BaseAddress.Port))));
        using var client = application.CreateClient();

        Assert.Equal($"Hello you from {server.Address}", await client.GetStringAsync("/greet/you"));
    }

    [Fact]
    public async Task A_server_under_the_test_server_is_not_registered_and_says_so()
    {
        using var log = new LogRecorder();
        var revision = etcd.Revision;
        await using var server = new GreeterServer(("Etcd:Endpoints", etcd.Endpoint))
            .WithWebHostBuilder(host => host.ConfigureLogging(logging => logging.AddProvider(log)));

        var registration = server.Services.GetRequiredService<IServiceRegistration>();

        await Eventually.IsTrue(() => registration.Status.State == ServiceRegistrationState.NoAddress);
        Assert.True(log.Has(LogLevel.Warning, "not registered", "no network addresses"));
        Assert.Equal(revision, etcd.Revision);
    }

    [Fact]
    public async Task Registration_can_be_switched_off()
    {
        var revision = etcd.Revision;
        await using var server = new GreeterServer(
            ("Etcd:Endpoints", etcd.Endpoint), ("Kestrel:Endpoints:Grpc:Url", "http://127.0.0.1:0"), ("Etcd:Registration:Enabled", "false"));
        server.UseKestrel();
        server.StartServer();

        var registration = server.Services.GetRequiredService<IServiceRegistration>();

        await Eventually.IsTrue(() => registration.Status.State == ServiceRegistrationState.Disabled);
        Assert.Equal(revision, etcd.Revision);
    }

    [Fact]
    public async Task A_stop_waits_for_nobody()
    {
        await using var server = GreeterServer.StartOnKestrel(etcd.Endpoint);

        var options = server.Services.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value;

        Assert.False(options.GracefulStop);
    }
}
