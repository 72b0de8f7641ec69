using Discovery.EmbeddedEtcd;
using Grpc.Core;
using Grpc.Net.ClientFactory;
using Helloworld;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Grpc.Tests;

public sealed class EtcdGrpcClientTests : IAsyncLifetime
{
    private EmbeddedEtcdServer _etcd = null!;

    public async Task InitializeAsync() => _etcd = await EmbeddedEtcdServer.StartAsync();

    public Task DisposeAsync() => _etcd.DisposeAsync().AsTask();

    [Fact]
    public async Task A_client_is_injected_into_a_controller_and_reaches_the_service_by_name()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint);
        var builder = WebApplication.CreateBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddControllers().AddApplicationPart(typeof(GreetingController).Assembly);
        builder.Services.AddEtcdClient(o => o.Endpoints = [_etcd.Endpoint]);
        builder.Services.AddEtcdGrpcClient<Greeter.GreeterClient>("greeter");
        await using var app = builder.Build();
        app.MapControllers();
        await app.StartAsync();

        using var http = new HttpClient();
        var reply = await http.GetStringAsync(new Uri($"{app.Urls.First()}/greeting/bob"));

        Assert.Equal($"bob {new Uri("http://" + server.Address).Port}", reply);
        await app.StopAsync();
    }

    [Fact]
    public async Task A_service_nobody_registered_is_unavailable_and_the_prefix_is_named()
    {
        await using var services = Services(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>("User"));
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        var failure = await Assert.ThrowsAsync<RpcException>(async () => await client.SayHelloAsync(new HelloRequest()));

        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.Contains("'User'", failure.Status.Detail, StringComparison.Ordinal);
        Assert.Contains("services/User/", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_etcd_a_call_is_unavailable_within_the_ready_timeout_and_the_endpoints_are_named()
    {
        await _etcd.DisposeAsync();
        await using var services = Services(static s =>
            s.AddEtcdGrpcClient<Greeter.GreeterClient>("greeter", static o => o.ReadyTimeout = TimeSpan.FromMilliseconds(300)));
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        var failure = await Assert.ThrowsAsync<RpcException>(async () => await client.SayHelloAsync(new HelloRequest()));

        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.Contains(_etcd.Endpoint, failure.Status.Detail, StringComparison.Ordinal);
        Assert.Contains("Etcd:Endpoints", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Names_that_no_host_can_have_are_services_too_and_their_case_matters()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint, "helloworld.Greeter_V2");
        await using var services = Services(static s =>
        {
            s.AddEtcdGrpcClient<Greeter.GreeterClient>("helloworld.Greeter_V2");
        });

        var reply = await services.GetRequiredService<Greeter.GreeterClient>().SayHelloAsync(new HelloRequest { Name = "eve" });

        Assert.StartsWith("eve", reply.Message, StringComparison.Ordinal);
        await using var others = Services(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>("helloworld.greeter_v2"));
        await Assert.ThrowsAsync<RpcException>(async () =>
            await others.GetRequiredService<Greeter.GreeterClient>().SayHelloAsync(new HelloRequest()));
    }

    [Fact]
    public async Task Metadata_pins_a_call_to_an_instance_and_is_not_sent()
    {
        await using var first = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var second = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var services = Services(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>("greeter"));
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        foreach (var server in new[] { first, second, first })
        {
            var pin = new Metadata { { "discovery-instance", server.Address }, { "discovery-hash-key", "k" } };
            var reply = await client.SayHelloAsync(new HelloRequest { Name = "x" }, pin);
            Assert.Equal($"x {new Uri("http://" + server.Address).Port}", reply.Message);
        }

        var nowhere = new Metadata { { "discovery-instance", "gone-1" } };
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await client.SayHelloAsync(new HelloRequest(), nowhere));
        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.Contains("'gone-1'", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_client_type_may_call_two_services_by_the_factory()
    {
        await using var blue = await GreeterServer.StartAsync(_etcd.Endpoint, "blue");
        await using var green = await GreeterServer.StartAsync(_etcd.Endpoint, "green");
        await using var services = Services(static s =>
        {
            s.AddEtcdGrpcClient<Greeter.GreeterClient>("blue");
            s.AddEtcdGrpcClient<Greeter.GreeterClient>("green");
        });
        var factory = services.GetRequiredService<GrpcClientFactory>();

        foreach (var (name, server) in new[] { ("blue", blue), ("green", green) })
        {
            var client = factory.CreateClient<Greeter.GreeterClient>($"{name}/Helloworld.Greeter.GreeterClient");
            var reply = await client.SayHelloAsync(new HelloRequest { Name = name });
            Assert.Equal($"{name} {new Uri("http://" + server.Address).Port}", reply.Message);
        }
    }

    [Fact]
    public async Task A_client_that_is_added_twice_is_one()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var services = Services(static s =>
        {
            s.AddEtcdGrpcClient<Greeter.GreeterClient>("greeter");
            s.AddEtcdGrpcClient<Greeter.GreeterClient>("greeter");
        });

        var reply = await services.GetRequiredService<Greeter.GreeterClient>().SayHelloAsync(new HelloRequest { Name = "twice" });

        Assert.Equal($"twice {new Uri("http://" + server.Address).Port}", reply.Message);
    }

    [Fact]
    public async Task A_service_has_one_channel_that_the_container_owns()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var services = Services(static s => s.AddEtcdGrpcChannels());
        var channels = services.GetRequiredService<IEtcdGrpcChannels>();

        var channel = channels.GetChannel("greeter");
        var reply = await new Greeter.GreeterClient(channel).SayHelloAsync(new HelloRequest { Name = "c" });

        Assert.StartsWith("c ", reply.Message, StringComparison.Ordinal);
        Assert.Same(channel, channels.GetChannel("greeter"));
        Assert.NotSame(channel, channels.GetChannel("other"));
        await services.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await new Greeter.GreeterClient(channel).SayHelloAsync(new HelloRequest()));
        Assert.Throws<ObjectDisposedException>(() => channels.GetChannel("greeter"));
        Assert.Throws<ObjectDisposedException>(() => channels.GetChannel("new"));
        Assert.Throws<ObjectDisposedException>(() => channels.GetChannels("greeter"));
    }

    [Theory]
    [InlineData("etcd://user:secret@greeter/greeter", "'etcd://***@greeter/greeter' has a host")]
    [InlineData("http://user:secret@greeter", "'http://***@greeter' is no address of a service in etcd")]
    [InlineData("etcd:///user:secret@greeter?x=1", "'etcd://***@greeter?x=1' has more than a service's name")]
    [InlineData("etcd:///user:secret@greeter/x", "'***@greeter/x' is no service name")]
    public async Task A_password_in_an_address_is_not_repeated(string address, string shown)
    {
        await using var services = Services(static s => s.AddEtcdGrpcChannels());

        var failure = Assert.Throws<ArgumentException>(() => services.GetRequiredService<IEtcdGrpcChannels>().GetChannel(new Uri(address)));

        Assert.Contains(shown, failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a/b")]
    [InlineData("with space")]
    public void A_name_that_is_no_service_name_is_refused_at_once(string name)
    {
        var failure = Assert.ThrowsAny<ArgumentException>(() => new ServiceCollection().AddEtcdGrpcClient<Greeter.GreeterClient>(name));
        Assert.Contains("greeter", failure.Message, StringComparison.OrdinalIgnoreCase);
    }

    private ServiceProvider Services(Action<IServiceCollection> add)
    {
        var services = new ServiceCollection();
        services.AddEtcdClient(o => o.Endpoints = [_etcd.Endpoint]);
        add(services);
        return services.BuildServiceProvider();
    }
}

[ApiController]
[Route("greeting")]
public sealed class GreetingController(Greeter.GreeterClient greeter) : ControllerBase
{
    [HttpGet("{name}")]
    public async Task<string> Get(string name) => (await greeter.SayHelloAsync(new HelloRequest { Name = name })).Message;
}
