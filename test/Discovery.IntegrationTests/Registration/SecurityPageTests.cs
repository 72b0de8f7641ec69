using Discovery.AspNetCore;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Discovery.IntegrationTests.Etcd;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace Discovery.IntegrationTests.Registration;

/// <summary>The roles of docs/security.md, made by the page's own commands on a real etcd.</summary>
public sealed class SecurityPageTests(SecuredNode node) : IClassFixture<SecuredNode>
{
    private const string Server = "AllowLoopback=true;/Etcd:Username=orders-server;/Etcd:Password=server-password";
    private const string Client = "AllowLoopback=true;/Etcd:Username=shop-client;/Etcd:Password=client-password";

    [Fact]
    public async Task A_server_and_a_client_do_all_they_have_to_without_a_warning()
    {
        await using var server = await StartAsync($"{Server};InstanceId=orders-1;Health:MinimumInstances=1");
        await using var client = await StartAsync($"{Client};Enabled=false", static b => b.Services.AddEtcdDiscovery());
        var directory = client.Services.GetRequiredService<IServiceDirectory>();
        await directory.WaitForReadyAsync("orders");
        Assert.Equal(ServiceRegistrationState.Registered, server.State);
        Assert.Equal("orders-1", directory.GetSnapshot("orders")!.Instances.Single().InstanceId);

        await server.Registration.SetWeightAsync(30);
        await Eventually.IsTrue(() => directory.GetSnapshot("orders")!.Instances.Single().Weight == 30);
        await server.Registration.WithdrawAsync();
        await Eventually.IsTrue(() => directory.GetSnapshot("orders")!.Instances.Count == 0);
        await server.Registration.RestoreAsync();
        await Eventually.IsTrue(() => directory.GetSnapshot("orders")!.Instances.Count == 1);
        Assert.Equal((null, null), (server.Registration.Status.LastError, server.Registration.Status.ReadError));
        await server.StopAsync();

        await Eventually.IsTrue(() => directory.GetSnapshot("orders")!.Instances.Count == 0);
        Assert.Empty(Complaints(server).Concat(Complaints(client)));

        // That the password goes in clear is said all the same.
        Assert.Single(server.Log.At(LogLevel.Warning), static line => line.StartsWith("Etcd:Username", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Client, "orders")]
    [InlineData(Server, "billing")]
    public async Task What_a_user_may_not_register_is_said_once_and_stands_in_the_status(string user, string service)
    {
        await using var app = TestApp.Build(node.Endpoint, service, user);
        await app.StartAsync();

        // The refusal is one line, however often it is met and whoever waits for it.
        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Warning, "etcd refuses to keep", "No role of the user"));
        await Eventually.IsTrue(() => app.Registration.Status.LastError?.Contains("etcdctl role grant-permission <role> readwrite", StringComparison.Ordinal) == true);
        await app.SettleAsync();
        Assert.StartsWith("Warning", Assert.Single(Complaints(app)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_refused_is_not_said_to_have_left()
    {
        await using var app = TestApp.Build(node.Endpoint, "orders", Client);
        await app.StartAsync();
        await Eventually.IsTrue(() => app.Log.Has(LogLevel.Warning, "etcd refuses to keep", "No role of the user"));

        await app.StopAsync();

        Assert.False(app.Log.Has(LogLevel.Information, "This application left etcd"));
        Assert.False(app.Log.Has(LogLevel.Warning, "could not be told within"));
        Assert.True(app.Log.Has(LogLevel.Warning, "etcd refuses this application's keys, so it was not told that this application drains.", "No role of the user"));
    }

    [Theory]
    [InlineData("AllowLoopback=true;/Etcd:Username=orders-server;/Etcd:Password=wrong", "orders", "Etcd:Username, which is 'orders-server'")]
    [InlineData(Client, "orders", "No role of the user 'shop-client'")]
    [InlineData("AllowLoopback=true", "orders", "set Etcd:Username and Etcd:Password")]
    public async Task With_fail_fast_a_refusal_ends_the_start_at_once_and_is_named(string user, string service, string cause)
    {
        await using var app = TestApp.Build(node.Endpoint, service, $"FailFast=true;/Etcd:RequestTimeout=00:10:00;{user}");

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => app.StartAsync().WaitAsync(TimeSpan.FromMinutes(1)));

        Assert.Contains(cause, error.Message, StringComparison.Ordinal);
        Assert.Contains("Etcd:Registration:FailFast", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_client_may_not_read_is_said_once_and_named_in_the_error()
    {
        await using var app = await StartAsync($"{Client};Enabled=false;/Etcd:Discovery:ReadyTimeout=00:00:03", static b => b.Services.AddEtcdDiscovery());
        var directory = app.Services.GetRequiredService<IServiceDirectory>();

        var error = await Assert.ThrowsAsync<ServiceDiscoveryException>(async () => await directory.WaitForReadyAsync("billing"));

        Assert.Contains("No role of the user 'shop-client' allows it: grant one with 'etcdctl role grant-permission <role> read ", error.Message, StringComparison.Ordinal);
        Assert.Single(Complaints(app));
    }

    [Fact]
    public async Task What_a_client_may_not_list_is_said_once_and_named_in_the_error_beside_a_root_that_it_may()
    {
        await using var app = await StartAsync(
            $"{Client};Enabled=false;/Etcd:Discovery:ReadyTimeout=00:00:03;/Etcd:Discovery:Layout=EtcdNaming:services/orders/, Kratos",
            static b => b.Services.AddEtcdDiscovery());
        var directory = app.Services.GetRequiredService<IServiceDirectory>();

        var error = await Assert.ThrowsAsync<ServiceDiscoveryException>(async () => await directory.ListServicesAsync());

        Assert.Contains("No role of the user 'shop-client' allows it: grant one with 'etcdctl role grant-permission <role> read ", error.Message, StringComparison.Ordinal);
        Assert.Contains("'/microservices/' cannot be read", Assert.Single(Complaints(app)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_role_that_may_only_write_registers_and_what_it_cannot_see_is_in_the_status_and_said_once()
    {
        await node.RunAsync("role", "add", "writer");
        await node.RunAsync("role", "grant-permission", "writer", "write", "--prefix=true", "services/written/");
        await node.RunAsync("user", "add", "writer:writer-password");
        await node.RunAsync("user", "grant-role", "writer", "writer");
        await using var app = TestApp.Build(node.Endpoint, "written", "AllowLoopback=true;/Etcd:Username=writer;/Etcd:Password=writer-password");
        await app.StartAsync();
        await app.ReachAsync(ServiceRegistrationState.Registered);
        await Eventually.IsTrue(() => app.Registration.Status.ReadError is not null);

        Assert.Contains("No role of the user 'writer'", app.Registration.Status.ReadError, StringComparison.Ordinal);
        Assert.Null(app.Registration.Status.LastError);
        await app.Registration.SetWeightAsync(30);
        await app.StopAsync();
        Assert.Equal("", await node.RunAsync("get", "--prefix", "services/written/"));
        Assert.Contains("written but not read", Assert.Single(Complaints(app)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_health_checks_of_a_user_without_the_role_root_are_healthy()
    {
        await using var app = await StartAsync(Server, static b => b.Services.AddHealthChecks().AddEtcd().AddEtcdRegistrationCheck());
        await app.ReachAsync(ServiceRegistrationState.Registered);

        var report = await app.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();

        Assert.All(report.Entries, static check => Assert.True(check.Value.Status == HealthStatus.Healthy, check.Value.Description));
    }

    [Fact]
    public async Task With_fail_fast_a_user_without_the_role_root_may_start_out_of_service()
    {
        await using var app = await StartAsync($"{Server};FailFast=true;StartWithdrawn=true");

        Assert.Equal(ServiceRegistrationState.Withdrawn, app.State);
        Assert.Empty(Complaints(app));
    }

    /// <summary>A slow list has its reason looked for, by a question that this user may not ask.</summary>
    [Fact]
    public async Task That_a_user_may_not_ask_for_the_status_is_no_reason_why_a_list_takes_long()
    {
        await using var etcd = new EtcdClient(new EtcdClientOptions
        {
            Endpoints = [node.Endpoint],
            Username = "shop-client",
            Password = "client-password",
        });
        var source = new EtcdServiceSource(new Lazy<EtcdClient>(etcd), cluster: null, static () => true);

        Assert.Null(await source.FindFailureAsync(TimeSpan.FromSeconds(30), CancellationToken.None));
    }

    private static List<string> Complaints(TestApp app) =>
        [.. app.Log.Lines.Where(static line => (line.StartsWith("Warning", StringComparison.Ordinal) || line.StartsWith("Error", StringComparison.Ordinal))
            && !line.StartsWith("Warning: Etcd:Username", StringComparison.Ordinal))];

    private async Task<TestApp> StartAsync(string settings, Action<Microsoft.AspNetCore.Builder.WebApplicationBuilder>? configure = null) =>
        await TestApp.StartAsync(node.Endpoint, "orders", settings, configure);
}

/// <summary>An etcd with the users and roles that docs/security.md makes.</summary>
public sealed class SecuredNode : IAsyncLifetime
{
    private IEtcdServer? _etcd;

    internal string Endpoint => _etcd!.Endpoint;

    public async Task InitializeAsync()
    {
        _etcd = await EtcdServer.StartAsync(new EtcdProcessOptions { FastElections = true, ExtraArguments = ["--bcrypt-cost", "4"] });
        var commands = Commands();
        Assert.Equal("auth enable", string.Join(' ', commands[^1]));
        foreach (var command in commands)
        {
            await Etcdctl.RunAsync(Endpoint, command);
        }
    }

    public async Task DisposeAsync() => await (_etcd?.DisposeAsync() ?? ValueTask.CompletedTask);

    internal Task<string> RunAsync(params string[] arguments) => Etcdctl.RunAsync(Endpoint, ["--user", "root:root-password", .. arguments]);

    private static List<string[]> Commands()
    {
        var root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "Discovery.AspNetCore.sln")))
        {
            root = Path.GetDirectoryName(root) ?? throw new InvalidOperationException("The tests do not run inside the repository.");
        }

        return [.. File.ReadLines(Path.Combine(root, "docs", "security.md"))
            .Where(static line => line.StartsWith("etcdctl ", StringComparison.Ordinal))
            .Select(static line => line["etcdctl ".Length..].Split(' '))];
    }
}
