using Discovery.EmbeddedEtcd;
using Discovery.IntegrationTests.Interop;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.ClientFactory;
using Microsoft.Extensions.DependencyInjection;
using Peers.V1;
using InteropClient = Peers.V1.Interop.InteropClient;

namespace Discovery.AspNetCore.Grpc.Tests;

/// <summary>What the client factory offers, through AddEtcdGrpcClient: a Kestrel server, found in an etcd.</summary>
public sealed class TypedClientTests : IAsyncLifetime
{
    private EmbeddedEtcdServer _etcd = null!;
    private InteropServer _server = null!;

    public async Task InitializeAsync()
    {
        _etcd = await EmbeddedEtcdServer.StartAsync();
        _server = await InteropServer.StartAsync(_etcd.Endpoint);
    }

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        await _etcd.DisposeAsync();
    }

    [Fact]
    public async Task A_client_is_injected_anew_each_time_and_calls()
    {
        await using var services = Services();
        var client = services.GetRequiredService<InteropClient>();

        Assert.Equal("hello", (await client.EchoAsync(new Message { Text = "hello" })).Text);
        Assert.NotSame(client, services.GetRequiredService<InteropClient>());
    }

    [Fact]
    public async Task Handlers_of_the_builder_and_defaults_for_all_http_clients_see_each_call()
    {
        var (own, common) = (0, 0);
        await using var services = Services(
            b => b.AddHttpMessageHandler(() => new CountingHandler(() => own++)),
            s => s.ConfigureHttpClientDefaults(b => b.AddHttpMessageHandler(() => new CountingHandler(() => common++))));

        await services.GetRequiredService<InteropClient>().EchoAsync(new Message());
        using (var scope = services.CreateScope())
        {
            await scope.ServiceProvider.GetRequiredService<InteropClient>().EchoAsync(new Message());
        }

        Assert.Equal((2, 2), (own, common));
    }

    [Fact]
    public async Task Interceptors_see_each_call()
    {
        var seen = new List<string>();
        await using var services = Services(b => b.AddInterceptor(() => new RecordingInterceptor(seen)));

        await services.GetRequiredService<InteropClient>().EchoAsync(new Message());

        Assert.Equal(["Echo"], seen);
    }

    [Fact]
    public async Task The_channel_can_be_configured()
    {
        await using var services = Services(b => b.ConfigureChannel(static c => c.MaxReceiveMessageSize = 100));
        var client = services.GetRequiredService<InteropClient>();

        Assert.Equal(50, (await client.LargeAsync(new Message { Number = 50 })).Payload.Length);
        var failure = await Failure.OfAsync(() => client.LargeAsync(new Message { Number = 200 }).ResponseAsync);
        Assert.Equal(StatusCode.ResourceExhausted, failure.StatusCode);
    }

    [Fact]
    public async Task The_options_of_calls_can_be_configured()
    {
        await using var services = Services(b => b.Services.Configure<GrpcClientFactoryOptions>(b.Name, static o =>
            o.CallOptionsActions.Add(static context => context.CallOptions = context.CallOptions.WithHeaders(new Metadata { { "echo-from", "options" } }))));

        var call = services.GetRequiredService<InteropClient>().EchoMetadataAsync(new Message());

        Assert.Equal(1, (await call).Number);
        Assert.Equal("options", (await call.ResponseHeadersAsync).GetValue("echo-from"));
    }

    [Fact]
    public async Task Call_credentials_are_sent()
    {
        await using var services = Services(static b => b
            .AddCallCredentials(static (_, metadata) =>
            {
                metadata.Add("echo-token", "secret");
                return Task.CompletedTask;
            })
            .ConfigureChannel(static c => c.UnsafeUseInsecureChannelCallCredentials = true));

        var call = services.GetRequiredService<InteropClient>().EchoMetadataAsync(new Message());
        await call;

        Assert.Equal("secret", (await call.ResponseHeadersAsync).GetValue("echo-token"));
    }

    [Fact]
    public async Task A_deadline_ends_the_call_on_both_sides()
    {
        await using var services = Services();
        var client = services.GetRequiredService<InteropClient>();
        await client.EchoAsync(new Message());

        var failure = await Failure.OfAsync(() =>
            client.WaitAsync(new Message { Number = -1 }, deadline: DateTime.UtcNow.AddSeconds(1)).ResponseAsync);

        Assert.Equal(StatusCode.DeadlineExceeded, failure.StatusCode);
        await _server.Observer.HandlerEndedAsync();
    }

    [Fact]
    public async Task A_cancellation_ends_the_call_on_both_sides()
    {
        await using var services = Services();
        using var cancellation = new CancellationTokenSource();
        using var call = services.GetRequiredService<InteropClient>().WaitStream(new Message(), cancellationToken: cancellation.Token);
        Assert.True(await call.ResponseStream.MoveNext(default).WaitAsync(Failure.Limit));

        await cancellation.CancelAsync();

        var failure = await Failure.OfAsync(() => call.ResponseStream.MoveNext(default));
        Assert.Equal(StatusCode.Cancelled, failure.StatusCode);
        await _server.Observer.HandlerEndedAsync();
    }

    [Fact]
    public async Task Large_messages_go_both_ways()
    {
        const int Size = 6 * 1024 * 1024;
        await using var services = Services(static b => b.ConfigureChannel(static c => c.MaxReceiveMessageSize = null));

        var reply = await services.GetRequiredService<InteropClient>().EchoAsync(new Message { Payload = ByteString.CopyFrom(new byte[Size]) });

        Assert.Equal(Size, reply.Payload.Length);
    }

    [Fact]
    public async Task Metadata_travels_in_headers_and_trailers()
    {
        await using var services = Services();
        var sent = new Metadata { { "echo-text", "t" }, { "echo-data-bin", [1, 2, 3] } };

        var call = services.GetRequiredService<InteropClient>().EchoMetadataAsync(new Message(), sent);
        await call;

        Assert.Equal("t", (await call.ResponseHeadersAsync).GetValue("echo-text"));
        Assert.Equal("t", call.GetTrailers().GetValue("trailer-echo-text"));
        Assert.Equal([1, 2, 3], call.GetTrailers().GetValueBytes("trailer-echo-data-bin"));
    }

    [Fact]
    public async Task A_failure_has_the_servers_status_detail_and_trailers()
    {
        await using var services = Services();

        var failure = await Failure.OfAsync(() => services.GetRequiredService<InteropClient>()
            .FailAsync(new Message { Number = (int)StatusCode.FailedPrecondition, Text = "not now" }).ResponseAsync);

        Assert.Equal((StatusCode.FailedPrecondition, "not now"), (failure.StatusCode, failure.Status.Detail));
        Assert.Equal("asked", failure.Trailers.GetValue("reason"));
    }

    [Fact]
    public async Task All_four_kinds_of_calls_work()
    {
        await using var services = Services();
        var client = services.GetRequiredService<InteropClient>();

        Assert.Equal("unary", (await client.EchoAsync(new Message { Text = "unary" })).Text);

        using var count = client.Count(new Message { Number = 3 });
        Assert.Equal(["0", "1", "2"], await TextsAsync(count.ResponseStream));
        Assert.Equal("3", count.GetTrailers().GetValue("count"));

        using var collect = client.Collect();
        await collect.RequestStream.WriteAsync(new Message { Text = "a" });
        await collect.RequestStream.WriteAsync(new Message { Text = "b" });
        await collect.RequestStream.CompleteAsync();
        Assert.Equal("ab", (await collect).Text);

        using var chat = client.Chat();
        foreach (var text in new[] { "x", "y" })
        {
            await chat.RequestStream.WriteAsync(new Message { Text = text });
            Assert.True(await chat.ResponseStream.MoveNext(default).WaitAsync(Failure.Limit));
            Assert.Equal(text, chat.ResponseStream.Current.Text);
        }

        await chat.RequestStream.CompleteAsync();
        Assert.False(await chat.ResponseStream.MoveNext(default).WaitAsync(Failure.Limit));
    }

    [Fact]
    public async Task Calls_go_where_a_replaced_directory_says_and_need_no_etcd()
    {
        await using var server = await InteropServer.StartAsync(etcd: null);
        var services = new ServiceCollection();
        services.AddEtcdGrpcClient<InteropClient>("svc");
        services.AddSingleton<IServiceDirectory>(new OneInstance(server.Address));
        await using var provider = services.BuildServiceProvider();

        Assert.Equal("x", (await provider.GetRequiredService<InteropClient>().EchoAsync(new Message { Text = "x" })).Text);
        Assert.True(server.Observer.Called);
    }

    [Fact]
    public async Task Calls_go_to_static_instances_and_need_no_etcd()
    {
        await using var server = await InteropServer.StartAsync(etcd: null);
        var services = new ServiceCollection();
        services.AddEtcdGrpcClient<InteropClient>("svc", o => o.Instances = [$"http://{server.Address}"]);
        await using var provider = services.BuildServiceProvider();

        Assert.Equal("x", (await provider.GetRequiredService<InteropClient>().EchoAsync(new Message { Text = "x" })).Text);
        Assert.True(server.Observer.Called);
    }

    [Fact]
    public async Task One_contract_of_two_services_has_a_client_for_each_by_name()
    {
        await using var blue = await InteropServer.StartAsync(etcd: null);
        await using var green = await InteropServer.StartAsync(etcd: null);
        var services = new ServiceCollection();
        services.AddEtcdGrpcClient<InteropClient>("b", "blue", o => o.Instances = [$"http://{blue.Address}"]);
        services.AddEtcdGrpcClient<InteropClient>("g", "green", o => o.Instances = [$"http://{green.Address}"]);
        await using var provider = services.BuildServiceProvider();
        var clients = provider.GetRequiredService<global::Grpc.Net.ClientFactory.GrpcClientFactory>();

        await clients.CreateClient<InteropClient>("g").EchoAsync(new Message { Text = "x" });
        Assert.Equal((false, true), (blue.Observer.Called, green.Observer.Called));
        await clients.CreateClient<InteropClient>("b").EchoAsync(new Message { Text = "x" });
        Assert.True(blue.Observer.Called);
    }

    private static async Task<List<string>> TextsAsync(IAsyncStreamReader<Message> stream)
    {
        var texts = new List<string>();
        await foreach (var message in stream.ReadAllAsync())
        {
            texts.Add(message.Text);
        }

        return texts;
    }

    private ServiceProvider Services(Action<IHttpClientBuilder>? client = null, Action<IServiceCollection>? add = null)
    {
        var services = new ServiceCollection();
        services.AddEtcdClient(o => o.Endpoints = [_etcd.Endpoint]);
        add?.Invoke(services);
        var builder = services.AddEtcdGrpcClient<InteropClient>(InteropServer.ServiceName);
        client?.Invoke(builder);
        return services.BuildServiceProvider();
    }

    private sealed class CountingHandler(Action count) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            count();
            return base.SendAsync(request, cancellationToken);
        }
    }

    private sealed class RecordingInterceptor(List<string> seen) : Interceptor
    {
        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
            TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncUnaryCallContinuation<TRequest, TResponse> continuation)
        {
            seen.Add(context.Method.Name);
            return continuation(request, context);
        }
    }

    private sealed class OneInstance(string address) : IServiceDirectory
    {
        private readonly ServiceSnapshot _snapshot = new(
            "svc", [new ServiceInstance { Key = address, ServiceName = "svc", Host = address.Split(':')[0], Port = int.Parse(address.Split(':')[1]) }]);

        public IReadOnlyCollection<ServiceStatus> Services => [];

        public ServiceSnapshot? GetSnapshot(string serviceName) => _snapshot;

        public ServiceStatus GetStatus(string serviceName)
            => new() { ServiceName = serviceName, Prefix = "", IsReady = true, IsConnected = true, Revision = 0 };

        public ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default) => new(_snapshot);

        public async IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(
            string serviceName, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            yield return _snapshot;
            await Task.CompletedTask;
        }
    }
}
