using Discovery.AspNetCore;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
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
    public async Task A_stop_waits_for_nobody()
    {
        await using var server = GreeterServer.StartOnKestrel(etcd.Endpoint);

        var options = server.Services.GetRequiredService<IOptions<EtcdRegistrationOptions>>().Value;

        Assert.False(options.GracefulStop);
    }
}
