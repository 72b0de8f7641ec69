using System.Text;
using Discovery.EmbeddedEtcd.Tests.Support;
using Discovery.Etcd;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

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

    [Theory]
    [InlineData("""{ "Etcd": { "Endpoints": "http://production:2379" } }""")]
    [InlineData("""{ "Etcd": { "Endpoints": "http://production-1:2379, http://production-2:2379" } }""")]
    [InlineData("""{ "Etcd": { "Endpoints": [ "http://production-1:2379", "http://production-2:2379" ] } }""")]
    [InlineData("""{ "Etcd": { "Endpoints": { "a": "http://production-1:2379", "b": "http://production-2:2379" } } }""")]
    [InlineData("""{ "Etcd:Endpoints": "", "Etcd:Endpoints:0": "http://production-1:2379", "Etcd:Endpoints:1": "http://production-2:2379" }""")]
    [InlineData("""{ "ConnectionStrings": { "etcd": "http://production:2379" } }""")]
    [InlineData("""{ "ETCD": { "ENDPOINTS": "http://production:2379" }, "CONNECTIONSTRINGS": { "ETCD": "http://production:2379" } }""")]
    [InlineData("{ }")]
    public async Task It_wins_over_what_a_file_says(string json)
    {
        var builder = Builder("Development");
        builder.Configuration.AddJsonStream(Json(json));

        await OnlyTheEmbeddedEtcdIsLeftAsync(builder);
    }

    [Theory]
    [InlineData("--Etcd:Endpoints=http://production:2379")]
    [InlineData("--Etcd:Endpoints:0=http://production:2379")]
    [InlineData("--ConnectionStrings:etcd=http://production:2379")]
    public async Task It_wins_over_the_command_line(string argument)
        => await OnlyTheEmbeddedEtcdIsLeftAsync(Builder("Development", argument));

    [Theory]
    [InlineData("Etcd__Endpoints")]
    [InlineData("Etcd__Endpoints__0")]
    [InlineData("ConnectionStrings__etcd")]
    public async Task It_wins_over_the_environment(string variable)
    {
        // Other tests see the same environment.
        var prefix = $"TEST_{Guid.NewGuid():N}_";
        Environment.SetEnvironmentVariable(prefix + variable, "http://production:2379");
        try
        {
            var builder = Builder("Development");
            builder.Configuration.AddEnvironmentVariables(prefix);

            await OnlyTheEmbeddedEtcdIsLeftAsync(builder);
        }
        finally
        {
            Environment.SetEnvironmentVariable(prefix + variable, null);
        }
    }

    [Fact]
    public async Task It_wins_over_code()
    {
        var builder = Builder("Development");
        builder.Services.Configure<EtcdClientOptions>(o => o.Endpoints = ["http://production:2379"]);
        builder.AddEmbeddedEtcd();
        builder.Services.Configure<EtcdClientOptions>(o => o.Endpoints = ["http://production:2379"]);
        await using var app = builder.Build();

        await app.StartAsync();

        Assert.Equal(
            [app.Services.GetRequiredService<EmbeddedEtcdServer>().Endpoint], app.Services.GetRequiredService<IOptions<EtcdClientOptions>>().Value.Endpoints);
    }

    [Fact]
    public async Task What_is_for_the_tls_and_the_users_of_another_etcd_is_not_for_it()
    {
        var builder = Builder("Development");
        builder.Services.Configure<EtcdClientOptions>(o =>
            (o.Username, o.Password, o.Tls.CaFile, o.Tls.CertificateFile, o.Tls.ServerName) = ("root", "secret", "/none", "/none", "production"));
        builder.AddEmbeddedEtcd();
        await using var app = builder.Build();

        await app.StartAsync();

        var options = app.Services.GetRequiredService<IOptions<EtcdClientOptions>>().Value;
        Assert.Equal((null, null), (options.Username, options.Password));
        Assert.Equivalent(new EtcdTlsOptions(), options.Tls, strict: true);
        Assert.Empty(options.Validate());
    }

    [Fact]
    public async Task A_fixed_port_is_taken_when_the_application_starts()
    {
        await using var running = await EmbeddedEtcdServer.StartAsync();
        var builder = Builder("Development");
        builder.AddEmbeddedEtcd(o => o.Port = new Uri(running.Endpoint).Port);
        await using var app = builder.Build();

        // Tools that build the application beside a running one get as far as this.
        Assert.Equal(running.Endpoint, app.Services.GetRequiredService<IOptions<EtcdClientOptions>>().Value.Endpoints.Single());
        var error = await Assert.ThrowsAsync<IOException>(() => app.StartAsync());
        Assert.Contains("EmbeddedEtcdOptions.Port", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_application_with_a_fixed_port_is_reached_by_it()
    {
        var before = await EmbeddedEtcdServer.StartAsync();
        var port = new Uri(before.Endpoint).Port;
        await before.DisposeAsync();
        var builder = Builder("Development");
        builder.AddEmbeddedEtcd(o => o.Port = port);
        await using var app = builder.Build();
        await app.StartAsync();

        using var client = new RawClient($"http://127.0.0.1:{port}");
        await client.PutAsync("a", "1");
    }

    [Theory]
    [InlineData("Etcd:Endpoints", "http://production:2379", "http://production:2379")]
    [InlineData("Etcd:Endpoints:1", "http://production:2379", "http://production:2379")]
    [InlineData("ConnectionStrings:etcd", "http://user:secret@production:2379", "not shown")]
    [InlineData("ConnectionStrings:etcd", "Endpoints=http://production:2379;Username=user;Password=secret", "not shown")]
    public async Task A_source_that_is_added_later_is_warned_of(string setting, string value, string shown)
    {
        var logs = new LogRecorder();
        var builder = Builder("Development");
        builder.Logging.AddProvider(logs);
        builder.AddEmbeddedEtcd();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { [setting] = value });
        await using var app = builder.Build();

        await app.StartAsync();

        var warning = Assert.Single(logs.Lines, l => l.StartsWith("Warning: ", StringComparison.Ordinal));
        Assert.Contains(setting, warning, StringComparison.Ordinal);
        Assert.Contains(shown, warning, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", warning, StringComparison.Ordinal);
        Assert.Equal(
            [app.Services.GetRequiredService<EmbeddedEtcdServer>().Endpoint], app.Services.GetRequiredService<IOptions<EtcdClientOptions>>().Value.Endpoints);
    }

    [Fact]
    public async Task An_application_that_would_meet_another_etcd_does_not_start()
    {
        var builder = Builder("Development");
        builder.AddEmbeddedEtcd();
        builder.Services.PostConfigure<EtcdClientOptions>(o => o.Endpoints = ["http://production:2379"]);
        await using var app = builder.Build();

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => app.StartAsync());

        Assert.Contains("PostConfigure<EtcdClientOptions>", error.Message, StringComparison.Ordinal);
        Assert.Contains("http://production:2379", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Development", "Etcd:Endpoints", "http://production:2379", true)]
    [InlineData("Development", "Etcd:Endpoints:0", "http://production:2379", true)]
    [InlineData("Development", "ConnectionStrings:etcd", "http://production:2379", true)]
    [InlineData("Production", "Etcd:Endpoints", "http://production:2379", true)]
    [InlineData("Development", "Etcd:Endpoints", "", false)]
    [InlineData("Development", "Etcd:Username", "app", false)]
    public void It_can_leave_a_configured_etcd_alone(string environment, string setting, string value, bool skipped)
    {
        var builder = Builder(environment);
        builder.Configuration[setting] = value;

        builder.AddEmbeddedEtcd(o => o.SkipIfEndpointsConfigured = true);

        using var app = builder.Build();
        Assert.Equal(skipped, app.Services.GetService<EmbeddedEtcdServer>() is null);
        Assert.Equal(skipped || setting == "Etcd:Username", app.Configuration[setting] == value);
    }

    [Theory]
    [InlineData("""[ "http://production-1:2379", "http://production-2:2379" ]""", "\"\"", false)]
    [InlineData("""[ "http://production-1:2379", "http://production-2:2379" ]""", "null", false)]
    [InlineData("""[ "http://production-1:2379", "http://production-2:2379" ]""", "[]", false)]
    [InlineData("""[ "http://production-1:2379", "http://production-2:2379" ]""", """[ "", "" ]""", false)]
    [InlineData("""[ "http://production-1:2379", "http://production-2:2379" ]""", """[ "" ]""", true)]
    [InlineData("\"http://production:2379\"", "\"\"", false)]
    [InlineData("\"http://production:2379\"", "null", false)]
    [InlineData("\"\"", """[ "http://staging:2379" ]""", true)]
    public void It_stands_for_a_configured_etcd_that_a_later_file_empties(string endpoints, string later, bool skipped)
    {
        var builder = Builder("Development");
        builder.Configuration
            .AddJsonStream(Json($$"""{ "Etcd": { "Endpoints": {{endpoints}} } }"""))
            .AddJsonStream(Json($$"""{ "Etcd": { "Endpoints": {{later}} } }"""));

        builder.AddEmbeddedEtcd(o => o.SkipIfEndpointsConfigured = true);

        using var app = builder.Build();
        Assert.Equal(skipped, app.Services.GetService<EmbeddedEtcdServer>() is null);
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

    private static async Task OnlyTheEmbeddedEtcdIsLeftAsync(WebApplicationBuilder builder)
    {
        var logs = new LogRecorder();
        builder.Logging.AddProvider(logs);
        builder.AddEmbeddedEtcd();
        await using var app = builder.Build();
        await app.StartAsync();

        var endpoint = app.Services.GetRequiredService<EmbeddedEtcdServer>().Endpoint;
        Assert.Equal(endpoint, app.Configuration["Etcd:Endpoints"]);
        Assert.Equal(endpoint, app.Configuration["Etcd:Endpoints:0"]);
        Assert.Equal([endpoint], app.Configuration.GetSection("Etcd:Endpoints").Get<string[]>()!.Distinct());
        Assert.DoesNotContain(
            app.Configuration.GetSection("Etcd").AsEnumerable().Concat(app.Configuration.GetSection("ConnectionStrings").AsEnumerable()),
            s => s.Value?.Contains("production", StringComparison.Ordinal) == true);
        Assert.DoesNotContain(logs.Lines, l => l.StartsWith("Warning: ", StringComparison.Ordinal));
    }

    private static MemoryStream Json(string text) => new(Encoding.UTF8.GetBytes(text));

    private static WebApplicationBuilder Builder(string environment, params string[] arguments)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = environment, Args = arguments });
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
