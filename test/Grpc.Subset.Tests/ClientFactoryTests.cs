using System.Net;
using Grpc.Core;
using Grpc.Net.ClientFactory;
using Grpc.Subset.Tests.Interop;
using Microsoft.Extensions.DependencyInjection;
using InteropClient = Grpc.Subset.Tests.Interop.Interop.InteropClient;

namespace Grpc.Subset.Tests;

public sealed class ClientFactoryTests
{
    private static readonly Uri Nowhere = new("http://nowhere");

    [Fact]
    public async Task A_typed_client_is_injected_and_calls()
    {
        await using var server = await TestServer.StartAsync();
        await using var services = Build(services => services.AddGrpcClient<InteropClient>(options => options.Address = new Uri(server.Address)));

        var client = services.GetRequiredService<InteropClient>();

        Assert.Equal("hello", (await client.EchoAsync(new Message { Text = "hello" })).Text);
        Assert.NotSame(client, services.GetRequiredService<InteropClient>());
    }

    [Fact]
    public async Task An_address_may_come_from_a_service()
    {
        await using var server = await TestServer.StartAsync();
        await using var services = Build(services =>
        {
            services.AddSingleton(new Uri(server.Address));
            services.AddGrpcClient<InteropClient>((provider, options) => options.Address = provider.GetRequiredService<Uri>());
        });

        Assert.Equal("hello", (await services.GetRequiredService<InteropClient>().EchoAsync(new Message { Text = "hello" })).Text);
    }

    [Fact]
    public async Task Clients_of_one_type_have_names()
    {
        using var one = new StubHandler(() => StubHandler.Grpc());
        using var two = new StubHandler(() => StubHandler.Grpc());
        await using var services = Build(services =>
        {
            services.AddGrpcClient<InteropClient>("one", options => options.Address = new Uri("http://one")).ConfigurePrimaryHttpMessageHandler(() => one);
            services.AddGrpcClient<InteropClient>("two", (_, options) => options.Address = new Uri("http://two")).ConfigurePrimaryHttpMessageHandler(() => two);
        });
        var factory = services.GetRequiredService<GrpcClientFactory>();

        await FailAsync(factory.CreateClient<InteropClient>("one"));
        await FailAsync(factory.CreateClient<InteropClient>("two"));

        Assert.Equal("http://one/interop.v1.Interop/Echo", one.Request!.RequestUri!.AbsoluteUri);
        Assert.Equal("http://two/interop.v1.Interop/Echo", two.Request!.RequestUri!.AbsoluteUri);
    }

    [Fact]
    public async Task Handlers_of_the_builder_see_the_calls_and_one_chain_serves_all()
    {
        using var primary = new StubHandler(() => StubHandler.Grpc());
        var (primaries, seen) = (0, 0);
        await using var services = Build(services => services.AddGrpcClient<InteropClient>(options => options.Address = Nowhere)
            .ConfigurePrimaryHttpMessageHandler(() =>
            {
                primaries++;
                return primary;
            })
            .AddHttpMessageHandler(() => new CountingHandler(() => seen++)));

        await FailAsync(services.GetRequiredService<InteropClient>());
        using (var scope = services.CreateScope())
        {
            await FailAsync(scope.ServiceProvider.GetRequiredService<InteropClient>());
        }

        Assert.Equal((1, 2), (primaries, seen));
    }

    [Fact]
    public async Task Defaults_for_all_http_clients_count_here_too()
    {
        using var primary = new StubHandler(() => StubHandler.Grpc());
        await using var services = Build(services =>
        {
            services.ConfigureHttpClientDefaults(builder => builder.ConfigurePrimaryHttpMessageHandler(() => primary));
            services.AddGrpcClient<InteropClient>(options => options.Address = Nowhere);
        });

        await FailAsync(services.GetRequiredService<InteropClient>());

        Assert.NotNull(primary.Request);
    }

    [Fact]
    public async Task Connections_of_the_default_handler_end_with_the_lifetime_of_handlers()
    {
        await using var services = Build(services => services.AddGrpcClient<InteropClient>("name").SetHandlerLifetime(TimeSpan.FromSeconds(77)));

        var handler = services.GetRequiredService<IHttpMessageHandlerFactory>().CreateHandler("name");
        while (handler is DelegatingHandler { InnerHandler: { } inner })
        {
            handler = inner;
        }

        var sockets = Assert.IsType<SocketsHttpHandler>(handler);
        Assert.Equal((TimeSpan.FromSeconds(77), true), (sockets.PooledConnectionLifetime, sockets.EnableMultipleHttp2Connections));
    }

    [Fact]
    public async Task The_channel_can_be_configured()
    {
        var calls = new List<string>();
        using var primary = new StubHandler(() => StubHandler.Grpc(0, 0, 0, 0, 1, 0));
        await using var services = Build(services => services.AddGrpcClient<InteropClient>(options =>
            {
                options.Address = Nowhere;
                options.ChannelOptionsActions.Add(_ => calls.Add("options"));
            })
            .ConfigurePrimaryHttpMessageHandler(() => primary)
            .ConfigureChannel((provider, _) => calls.Add(provider.GetRequiredService<string>()))
            .ConfigureChannel(channel => channel.MaxReceiveMessageSize = 0)
            .Services.AddSingleton("service"));

        var exception = await FailAsync(services.GetRequiredService<InteropClient>());

        Assert.Equal(StatusCode.ResourceExhausted, exception.StatusCode);
        Assert.Equal(["options", "service"], calls);
    }

    [Fact]
    public async Task The_options_of_calls_can_be_configured()
    {
        using var primary = new StubHandler(() => StubHandler.Grpc());
        await using var services = Build(services => services.AddGrpcClient<InteropClient>(options =>
        {
            options.Address = Nowhere;
            options.CallOptionsActions.Add(context => context.CallOptions = context.CallOptions
                .WithHeaders(new Metadata { { "from", context.ServiceProvider.GetRequiredService<string>() } })
                .WithDeadline(DateTime.UtcNow.AddSeconds(10)));
        }).ConfigurePrimaryHttpMessageHandler(() => primary).Services.AddSingleton("options"));

        await FailAsync(services.GetRequiredService<InteropClient>());

        Assert.Equal("options", primary.Request!.Headers.GetValues("from").Single());
        Assert.True(primary.Request.Headers.Contains("grpc-timeout"));
    }

    [Fact]
    public async Task What_is_set_on_the_http_client_counts_where_a_channel_has_it()
    {
        using var primary = new StubHandler(() => StubHandler.Grpc());
        await using var services = Build(services => services.AddGrpcClient<InteropClient>().ConfigureHttpClient(client =>
        {
            client.BaseAddress = Nowhere;
            client.DefaultRequestHeaders.Add("X-Default", "yes");
            client.DefaultRequestHeaders.Add("X-Both", "default");
        }).ConfigurePrimaryHttpMessageHandler(() => primary));

        await FailAsync(services.GetRequiredService<InteropClient>(), new Metadata { { "x-both", "call" } });

        Assert.Equal("nowhere", primary.Request!.RequestUri!.Host);
        Assert.Equal("yes", primary.Request.Headers.GetValues("x-default").Single());
        Assert.Equal("call", primary.Request.Headers.GetValues("x-both").Single());
    }

    [Fact]
    public async Task A_client_may_be_created_by_hand()
    {
        await using var services = Build(services => services.AddGrpcClient<InteropClient>(options => options.Address = Nowhere)
            .ConfigureGrpcClientCreator((provider, invoker) => new NamedClient(invoker, provider.GetRequiredService<string>()))
            .Services.AddSingleton("made"));
        await using var simple = Build(services => services.AddGrpcClient<InteropClient>(options => options.Address = Nowhere)
            .ConfigureGrpcClientCreator(invoker => new NamedClient(invoker, "simple")));

        Assert.Equal("made", Assert.IsType<NamedClient>(services.GetRequiredService<InteropClient>()).Name);
        Assert.Equal("simple", Assert.IsType<NamedClient>(simple.GetRequiredService<InteropClient>()).Name);
    }

    [Fact]
    public async Task A_creator_of_something_else_is_refused()
    {
        await using var other = Build(services => services.AddGrpcClient<InteropClient>(options => options.Address = Nowhere)
            .ConfigureGrpcClientCreator(_ => new Version()));
        await using var nothing = Build(services => services.AddGrpcClient<InteropClient>(options => options.Address = Nowhere)
            .ConfigureGrpcClientCreator(_ => null!));

        Assert.Equal(
            $"The System.Version instance returned by the configured client creator is not compatible with {typeof(InteropClient).FullName}.",
            Assert.Throws<InvalidOperationException>(other.GetRequiredService<InteropClient>).Message);
        Assert.Equal(
            "A null instance was returned by the configured client creator.",
            Assert.Throws<InvalidOperationException>(nothing.GetRequiredService<InteropClient>).Message);
    }

    [Fact]
    public async Task A_missing_address_is_named()
    {
        await using var services = Build(services => services.AddGrpcClient<InteropClient>());

        Assert.Equal(
            "Could not resolve the address for gRPC client 'InteropClient'. Set an address when registering the client: "
            + "services.AddGrpcClient<InteropClient>(o => o.Address = new Uri(\"https://localhost:5001\"))",
            Assert.Throws<InvalidOperationException>(services.GetRequiredService<InteropClient>).Message);
    }

    [Fact]
    public async Task A_client_that_is_not_registered_is_refused()
    {
        await using var services = Build(services => services.AddGrpcClient<InteropClient>(options => options.Address = Nowhere));
        var factory = services.GetRequiredService<GrpcClientFactory>();

        Assert.Equal(
            "No gRPC client configured with name 'other'.",
            Assert.Throws<InvalidOperationException>(() => factory.CreateClient<NamedClient>("other")).Message);
    }

    [Fact]
    public void One_name_for_two_types_is_refused()
    {
        var services = new ServiceCollection();
        services.AddGrpcClient<InteropClient>("name");

        var exception = Assert.Throws<InvalidOperationException>(() => services.AddGrpcClient<NamedClient>("name"));

        Assert.Contains($"name 'name', bound to the type '{typeof(InteropClient).FullName}'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Channels_of_other_http_clients_cannot_be_configured()
    {
        var services = new ServiceCollection();
        services.AddGrpcClient<InteropClient>(options => options.Address = Nowhere);

        Assert.Equal(
            "ConfigureChannel must be used with a gRPC client.",
            Assert.Throws<InvalidOperationException>(() => services.AddHttpClient("plain").ConfigureChannel(_ => { })).Message);
    }

    private static ServiceProvider Build(Action<IServiceCollection> configure)
    {
        var services = new ServiceCollection();
        configure(services);
        return services.BuildServiceProvider();
    }

    private static Task<RpcException> FailAsync(InteropClient client, Metadata? headers = null)
        => Failure.OfAsync(() => client.EchoAsync(new Message(), headers).ResponseAsync);

    private sealed class CountingHandler(Action count) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            count();
            return base.SendAsync(request, cancellationToken);
        }
    }

    private sealed class NamedClient(CallInvoker invoker, string name) : InteropClient(invoker)
    {
        public string Name => name;
    }
}
