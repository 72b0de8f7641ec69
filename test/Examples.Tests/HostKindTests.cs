using Discovery.AspNetCore;
using Discovery.EmbeddedEtcd;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Examples.Tests;

/// <summary>What docs/workers.md says of hosts that are not made by WebApplication.CreateBuilder, and of several services in one.</summary>
public sealed class HostKindTests(EtcdFixture etcd) : IClassFixture<EtcdFixture>
{
    [Fact]
    public async Task The_worker_of_the_examples_calls_by_name()
    {
        await using var server = GreeterServer.StartOnKestrel(etcd.Endpoint);

        await using var worker = await OwnedProcess.StartAsync(
            "dotnet", [Path.Combine(AppContext.BaseDirectory, "Worker.dll"), $"--Etcd:Endpoints={etcd.Endpoint}"]);

        await worker.WaitForOutputAsync(output => output.Contains($"Hello worker from {server.Address}", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_slim_application_is_registered_and_a_host_without_Kestrel_calls_it()
    {
        await using var server = await StartSlimAsync("slim", ("Urls", "http://127.0.0.1:0"));
        using var worker = await StartWorkerAsync(static s => s.AddHttpClient("slim").AddEtcdDiscovery());

        Assert.Equal("slim", await CallAsync(worker, "slim"));
        await worker.StopAsync();
    }

    [Fact]
    public async Task Several_services_in_one_application_have_a_port_each()
    {
        await using var server = await StartSlimAsync(
            "shop",
            ("Kestrel:Endpoints:Orders:Url", "http://127.0.0.1:0"),
            ("Kestrel:Endpoints:Users:Url", "http://127.0.0.1:0"),
            ("Etcd:Registration:ServiceName", ""),
            ("Etcd:Registration:Services:orders:Endpoints:0", "Orders"),
            ("Etcd:Registration:Services:users:Endpoints:0", "Users"));
        using var worker = await StartWorkerAsync(static s =>
        {
            s.AddHttpClient("orders").AddEtcdDiscovery();
            s.AddHttpClient("users").AddEtcdDiscovery();
        });

        var orders = await CallAsync(worker, "orders", "/port");
        Assert.NotEqual(orders, await CallAsync(worker, "users", "/port"));
        Assert.Equal(orders, await CallAsync(worker, "orders", "/port"));
        await worker.StopAsync();
    }

    [Fact]
    public async Task A_host_without_Kestrel_registers_the_urls_that_it_is_given()
    {
        using var worker = await StartWorkerAsync(
            static s => s.AddEtcdRegistration(),
            ("Etcd:Registration:ServiceName", "printer"), ("Etcd:Registration:AdvertisedUrls", "http://127.0.0.1:9100"),
            ("Etcd:Registration:GracefulStop", "false"));
        var registration = worker.Services.GetRequiredService<IServiceRegistration>();

        await Eventually.IsTrue(() => registration.Status.State == ServiceRegistrationState.Registered);

        Assert.StartsWith("services/printer/127.0.0.1:9100", Assert.Single(registration.Status.Keys), StringComparison.Ordinal);
        await worker.StopAsync();
    }

    [Fact]
    public async Task Without_Kestrel_and_without_urls_nothing_is_registered_and_one_line_says_why()
    {
        using var log = new LogRecorder();
        await using var own = await EmbeddedEtcdServer.StartAsync();
        var revision = own.Revision;
        using var worker = await StartWorkerAsync(
            s => s.AddLogging(l => l.AddProvider(log)).AddEtcdRegistration(),
            ("Etcd:Endpoints", own.Endpoint), ("Etcd:Registration:ServiceName", "printer"));

        var registration = worker.Services.GetRequiredService<IServiceRegistration>();
        await Eventually.IsTrue(() => registration.Status.State == ServiceRegistrationState.NoAddress);

        var line = Assert.Single(log.At(LogLevel.Warning), static l => l.Contains("not registered", StringComparison.Ordinal));
        Assert.Contains("Etcd:Registration:AdvertisedUrls", line, StringComparison.Ordinal);
        Assert.Equal(revision, own.Revision);
        await worker.StopAsync();
    }

    private static async Task<string> CallAsync(IHost host, string name, string path = "/")
    {
        using var client = host.Services.GetRequiredService<IHttpClientFactory>().CreateClient(name);
        return await client.GetStringAsync(new Uri(path, UriKind.Relative));
    }

    private async Task<WebApplication> StartSlimAsync(string service, params (string Name, string Value)[] settings)
    {
        var builder = WebApplication.CreateSlimBuilder();
        Configure(builder.Configuration, [("Etcd:Registration:ServiceName", service), ("Etcd:Registration:GracefulStop", "false")]);
        Configure(builder.Configuration, settings);
        builder.Services.AddEtcdRegistration();
        var app = builder.Build();
        app.MapGet("/", () => service);
        app.MapGet("/port", static (HttpContext context) => context.Connection.LocalPort);
        await app.StartAsync();
        return app;
    }

    private async Task<IHost> StartWorkerAsync(Action<IServiceCollection> configure, params (string Name, string Value)[] settings)
    {
        var builder = Host.CreateApplicationBuilder();
        Configure(builder.Configuration, settings);
        configure(builder.Services);
        var host = builder.Build();
        await host.StartAsync();
        return host;
    }

    private void Configure(ConfigurationManager configuration, IEnumerable<(string Name, string Value)> settings)
        => configuration.AddInMemoryCollection([new("Etcd:Endpoints", etcd.Endpoint)])
            .AddInMemoryCollection(settings.Select(static s => KeyValuePair.Create(s.Name, (string?)s.Value)));
}
