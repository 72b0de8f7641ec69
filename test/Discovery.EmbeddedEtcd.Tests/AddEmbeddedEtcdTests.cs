using Discovery.EmbeddedEtcd.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Discovery.EmbeddedEtcd.Tests;

public sealed class AddEmbeddedEtcdTests
{
    [Fact]
    public async Task It_serves_from_before_the_first_service_to_after_the_last()
    {
        var builder = Builder("Development");
        builder.Services.AddHostedService<Neighbour>();
        builder.AddEmbeddedEtcd();
        await using var app = builder.Build();
        var neighbour = app.Services.GetServices<IHostedService>().OfType<Neighbour>().Single();

        await app.StartAsync();
        await app.StopAsync();

        Assert.Equal(["starting", "started", "stopping", "stopped"], neighbour.Reached);
    }

    [Fact]
    public async Task It_is_injected_and_ends_with_the_application()
    {
        var builder = Builder("Development");
        builder.AddEmbeddedEtcd();
        var app = builder.Build();
        await app.StartAsync();
        var etcd = app.Services.GetRequiredService<EmbeddedEtcdServer>();

        Assert.Equal(etcd.Endpoint, app.Configuration["Etcd:Endpoints:0"]);
        await app.DisposeAsync();

        using var client = new RawClient(etcd.Endpoint);
        await Assert.ThrowsAnyAsync<Exception>(() => client.GetAsync("a"));
    }

    [Fact]
    public async Task No_configured_endpoint_is_left_over()
    {
        var builder = Builder("Development");
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Etcd:Endpoints:0"] = "http://production-1:2379",
            ["Etcd:Endpoints:1"] = "http://production-2:2379",
        });

        builder.AddEmbeddedEtcd();
        await using var app = builder.Build();

        var endpoint = app.Services.GetRequiredService<EmbeddedEtcdServer>().Endpoint;
        Assert.Equal([endpoint, endpoint], app.Configuration.GetSection("Etcd:Endpoints").Get<string[]>()!);
    }

    [Fact]
    public async Task The_applications_own_server_and_the_embedded_one_do_not_meet()
    {
        var builder = Builder("Development");
        builder.Configuration["Kestrel:Endpoints:Main:Url"] = "http://127.0.0.1:0";
        builder.AddEmbeddedEtcd();
        await using var app = builder.Build();
        app.MapGet("/", () => "the application");
        await app.StartAsync();

        var address = Assert.Single(app.Urls);
        using var http = new HttpClient();
        Assert.Equal("the application", await http.GetStringAsync(new Uri(address)));
        using var client = new RawClient(app.Configuration["Etcd:Endpoints:0"]!);
        await client.PutAsync("a", "1");
    }

    [Fact]
    public void Outside_development_it_refuses_and_says_what_to_do()
    {
        var error = Assert.Throws<InvalidOperationException>(() => Builder("Production").AddEmbeddedEtcd());

        Assert.Contains("'Production'", error.Message, StringComparison.Ordinal);
        Assert.Contains("Etcd:Endpoints", error.Message, StringComparison.Ordinal);
        Assert.Contains("EmbeddedEtcdOptions.AllowOutsideDevelopment = true", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Outside_development_it_runs_when_allowed_and_warns()
    {
        var logs = new LogRecorder();
        var builder = Builder("Staging");
        builder.Logging.AddProvider(logs);
        builder.AddEmbeddedEtcd(o => o.AllowOutsideDevelopment = true);
        await using var app = builder.Build();

        await app.StartAsync();

        Assert.Contains(logs.Lines, l => l.StartsWith("Warning: ", StringComparison.Ordinal) && l.Contains("Staging", StringComparison.Ordinal));
    }

    [Fact]
    public async Task It_says_that_it_is_not_for_production()
    {
        var logs = new LogRecorder();
        var builder = Builder("Development");
        builder.Logging.AddProvider(logs);
        builder.AddEmbeddedEtcd();
        await using var app = builder.Build();

        await app.StartAsync();

        Assert.Contains(logs.Lines, l => l.Contains("Production needs a real etcd cluster", StringComparison.Ordinal));
        Assert.DoesNotContain(logs.Lines, l => l.StartsWith("Warning: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_second_one_in_one_application_is_refused()
    {
        var builder = Builder("Development");
        builder.AddEmbeddedEtcd();

        var error = Assert.Throws<InvalidOperationException>(() => builder.AddEmbeddedEtcd());

        Assert.Contains("twice", error.Message, StringComparison.Ordinal);
        await using var app = builder.Build();
        await app.StartAsync();
        using var client = new RawClient(app.Configuration["Etcd:Endpoints:0"]!);
        await client.PutAsync("a", "1");
    }

    [Fact]
    public void Before_the_start_it_says_so()
    {
        var builder = Builder("Development");
        builder.AddEmbeddedEtcd();
        using var app = builder.Build();

        var error = Assert.Throws<InvalidOperationException>(() => app.Services.GetRequiredService<EmbeddedEtcdServer>().Compact());

        Assert.Contains("start the host", error.Message, StringComparison.Ordinal);
    }

    private static WebApplicationBuilder Builder(string environment)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = environment });
        builder.Configuration["urls"] = "http://127.0.0.1:0";
        builder.Logging.ClearProviders();
        return builder;
    }

    private sealed class Neighbour(IConfiguration configuration) : IHostedLifecycleService, IDisposable
    {
        private readonly RawClient _client = new(configuration["Etcd:Endpoints:0"]!);

        public List<string> Reached { get; } = [];

        public Task StartingAsync(CancellationToken cancellationToken) => ReachAsync("starting");

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StartedAsync(CancellationToken cancellationToken) => ReachAsync("started");

        public Task StoppingAsync(CancellationToken cancellationToken) => ReachAsync("stopping");

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppedAsync(CancellationToken cancellationToken) => ReachAsync("stopped");

        public void Dispose() => _client.Dispose();

        private async Task ReachAsync(string moment)
        {
            await _client.PutAsync("moment", moment);
            Reached.Add(moment);
        }
    }
}
