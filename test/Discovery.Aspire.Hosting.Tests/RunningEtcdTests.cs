using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Eventing;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Discovery.Aspire.Hosting.Tests;

/// <summary>What an AppHost does to its etcd while it runs. An etcd process stands for the container; the events are Aspire's.</summary>
public sealed class RunningEtcdTests : IAsyncLifetime
{
    private const string Password = "a;b=c, 'd' {e}";

    private readonly IDistributedApplicationBuilder _builder = DistributedApplication.CreateBuilder();
    private IEtcdServer? _etcd;

    private IEtcdServer Etcd => _etcd!;

    public async Task InitializeAsync()
        => _etcd = await EtcdServer.StartAsync(new EtcdProcessOptions { FastElections = true, ExtraArguments = ["--bcrypt-cost", "4"] });

    public async Task DisposeAsync() => await Etcd.DisposeAsync();

    [Fact]
    public async Task It_is_healthy_while_it_answers()
    {
        var etcd = _builder.AddEtcd("etcd").Resource;
        await using var application = _builder.Build();
        await AllocateAsync(etcd, application);
        Assert.Equal(HealthStatus.Healthy, await CheckAsync(etcd, application));

        await Etcd.DisposeAsync();

        Assert.Equal(HealthStatus.Unhealthy, await CheckAsync(etcd, application));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("shop")]
    public async Task Authentication_is_on_when_it_is_ready_and_the_connection_string_lets_in(string? user)
    {
        var etcd = AddEtcd(Password, user);
        await using var application = _builder.Build();
        await AllocateAsync(etcd, application);

        await BecomeReadyAsync(etcd, application);

        await using var anybody = Connect(Etcd.Endpoint);
        await Assert.ThrowsAsync<EtcdException>(() => Client(anybody).PutAsync("services/greeter/1", "x"u8.ToArray()));
        await using var application1 = Connect((await etcd.ConnectionStringExpression.GetValueAsync(default))!);
        Assert.True(await Client(application1).PutAsync("services/greeter/1", "x"u8.ToArray()) > 0);
        Assert.NotNull(await Client(application1).GetAsync("services/greeter/1"));
        Assert.Equal(HealthStatus.Healthy, await CheckAsync(etcd, application));
    }

    [Fact]
    public async Task Another_user_than_root_may_not_add_users()
    {
        var etcd = AddEtcd("secret", "shop");
        await using var application = _builder.Build();
        await AllocateAsync(etcd, application);

        await BecomeReadyAsync(etcd, application);

        var refused = await Assert.ThrowsAnyAsync<Exception>(() => Etcdctl.RunAsync(Etcd.Endpoint, "--user", "shop:secret", "user", "add", "x:y"));
        Assert.Contains("permission denied", refused.Message, StringComparison.OrdinalIgnoreCase);
        await Etcdctl.RunAsync(Etcd.Endpoint, "--user", "root:secret", "user", "list");
    }

    [Fact]
    public async Task Kept_data_with_authentication_are_no_special_case()
    {
        var etcd = AddEtcd(Password, "shop");
        await using var application = _builder.Build();
        await AllocateAsync(etcd, application);
        await BecomeReadyAsync(etcd, application);

        await BecomeReadyAsync(etcd, application);

        await using var services = Connect((await etcd.ConnectionStringExpression.GetValueAsync(default))!);
        Assert.True(await Client(services).PutAsync("k", "v"u8.ToArray()) > 0);
    }

    [Fact]
    public async Task What_was_broken_off_is_taken_up_again_with_the_password_of_today()
    {
        await Etcdctl.RunAsync(Etcd.Endpoint, "user", "add", "root:yesterday");
        await Etcdctl.RunAsync(Etcd.Endpoint, "role", "add", "shop");
        await Etcdctl.RunAsync(Etcd.Endpoint, "user", "add", "shop:yesterday");
        var etcd = AddEtcd("today", "shop");
        await using var application = _builder.Build();
        await AllocateAsync(etcd, application);

        await BecomeReadyAsync(etcd, application);

        await Etcdctl.RunAsync(Etcd.Endpoint, "--user", "root:today", "user", "list");
        await Etcdctl.RunAsync(Etcd.Endpoint, "--user", "shop:today", "put", "k", "v");
    }

    [Fact]
    public async Task Kept_data_with_another_password_are_named_and_no_password_is()
    {
        var first = AddEtcd("yesterday", "shop");
        var second = AddEtcd("hunter2", "shop", name: "etcd2");
        await using var application = _builder.Build();
        await AllocateAsync(first, application);
        await AllocateAsync(second, application);
        await BecomeReadyAsync(first, application);

        var e = await Assert.ThrowsAnyAsync<Exception>(() => BecomeReadyAsync(second, application));

        Assert.Contains("refuses user 'shop'", e.ToString(), StringComparison.Ordinal);
        Assert.Contains("remove etcd's data volume", e.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", e.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hunter\"2")]
    [InlineData("")]
    public async Task A_password_that_the_connection_string_cannot_carry_is_refused_by_the_name_of_its_parameter(string password)
    {
        var etcd = AddEtcd(password, user: null);
        await using var application = _builder.Build();
        await AllocateAsync(etcd, application);

        var e = await Assert.ThrowsAnyAsync<Exception>(() => BecomeReadyAsync(etcd, application));

        Assert.Contains("'etcd-secret'", e.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("hunter", e.ToString(), StringComparison.Ordinal);
        await Etcdctl.RunAsync(Etcd.Endpoint, "put", "k", "v");
    }

    [Fact]
    public async Task An_etcd_that_went_away_is_named()
    {
        var etcd = AddEtcd("secret", user: null);
        await using var application = _builder.Build();
        await AllocateAsync(etcd, application);
        await Etcd.DisposeAsync();

        var e = await Assert.ThrowsAnyAsync<Exception>(() => BecomeReadyAsync(etcd, application));

        Assert.Contains("etcd does not answer at http://127.0.0.1:", e.ToString(), StringComparison.Ordinal);
    }

    private static EtcdClient Client(ServiceProvider services) => services.GetRequiredService<EtcdClient>();

    private static Task BecomeReadyAsync(EtcdResource etcd, DistributedApplication application)
        => application.Services.GetRequiredService<IDistributedApplicationEventing>().PublishAsync(new ResourceReadyEvent(etcd, application.Services));

    private static async Task<HealthStatus> CheckAsync(EtcdResource etcd, DistributedApplication application)
    {
        var key = etcd.Annotations.OfType<HealthCheckAnnotation>().Single().Key;
        var report = await application.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(c => c.Name == key);
        Assert.Single(report.Entries);
        return report.Status;
    }

    // An application that has the connection string, and nothing else.
    private static ServiceProvider Connect(string connectionString)
        => new ServiceCollection()
            .AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection([new("ConnectionStrings:etcd", connectionString)]).Build())
            .AddEtcdClient()
            .BuildServiceProvider();

    private EtcdResource AddEtcd(string password, string? user, string name = "etcd")
        => _builder.AddEtcd(name).WithAuth(
            user is null ? null : _builder.AddParameter($"{name}-user", user), _builder.AddParameter($"{name}-secret", password, secret: true)).Resource;

    private async Task AllocateAsync(EtcdResource etcd, DistributedApplication application)
    {
        etcd.Allocate("127.0.0.1", Etcd.ClientPort);
        var eventing = application.Services.GetRequiredService<IDistributedApplicationEventing>();
        await eventing.PublishAsync(new ResourceEndpointsAllocatedEvent(etcd, application.Services));
        await eventing.PublishAsync(new BeforeResourceStartedEvent(etcd, application.Services));
    }
}
