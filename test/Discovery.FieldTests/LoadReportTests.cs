using System.Buffers.Binary;
using System.Net;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.FieldTests;

/// <summary>Servers that report their load, and clients that see only their own calls.</summary>
public sealed class LoadReportTests
{
    private const string HeaderName = "endpoint-load-metrics-bin";

    [Fact]
    public async Task An_answer_of_http_says_how_many_other_calls_are_in_flight()
    {
        await using var field = await Field.StartAsync();
        await using var server = await Server.StartAsync(field);
        using var client = field.Client();

        using (var alone = await client.GetAsync("quick"))
        {
            Assert.Equal(0, InFlight(alone.Headers.GetValues(HeaderName)));
        }

        var slow = await server.HoldAsync(client, 3);
        using var response = await client.GetAsync("quick");

        Assert.Equal(3, InFlight(response.Headers.GetValues(HeaderName)));
        server.Release();
        await slow;
    }

    [Fact]
    public async Task An_answer_of_grpc_says_it_in_its_trailers_also_when_it_fails()
    {
        await using var field = await Field.StartAsync();
        await using var server = await Server.StartAsync(field, HttpProtocols.Http2);
        var client = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service)).GetRequiredService<Greeter.GreeterClient>();

        using var call = client.SayHelloAsync(new HelloRequest { Name = "you" });
        await call;

        Assert.Equal(0, InFlight(call.GetTrailers().GetValueBytes(HeaderName)!));
        var failure = await Assert.ThrowsAsync<RpcException>(() => client.SayHelloAsync(new HelloRequest()).ResponseAsync);
        Assert.Equal(StatusCode.InvalidArgument, failure.StatusCode);
        Assert.NotNull(failure.Trailers.GetValueBytes(HeaderName));
    }

    [Theory]
    [InlineData(HttpProtocols.Http1)]
    [InlineData(HttpProtocols.Http2)]
    public async Task A_server_that_others_keep_busy_gets_few_calls_of_a_client_that_cannot_know_it(HttpProtocols protocols)
    {
        await using var field = await Field.StartAsync();
        await using var busy = await Server.StartAsync(field, protocols);
        await using var idle = await Server.StartAsync(field, protocols);
        await using var other = await Server.StartAsync(field, protocols);
        using var stranger = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 100 })
        {
            BaseAddress = new Uri($"http://{busy.Address}"),
            DefaultRequestVersion = protocols == HttpProtocols.Http2 ? new Version(2, 0) : new Version(1, 1),
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        var held = await busy.HoldAsync(stranger, 40);
        var call = CallOf(field, protocols);

        // By chance it would be a third for each. Who was slow while it compiled gets its share after some seconds.
        await Eventually.IsTrue(async () =>
        {
            var before = (Busy: busy.Quick, Idle: idle.Quick, Other: other.Quick);
            for (var i = 0; i < 300; i++)
            {
                await call();
            }

            return busy.Quick - before.Busy is > 0 and < 60 && idle.Quick - before.Idle > 60 && other.Quick - before.Other > 60;
        });
        busy.Release();
        await held;
    }

    [Fact]
    public async Task Reports_that_are_none_do_no_harm_and_are_counted()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(static c =>
        {
            c.Response.Headers[HeaderName] = "no report";
            return c.Response.WriteAsync("hello");
        });
        var application = field.Application(static s => s.AddHttpClient("client").AddEtcdDiscovery(Field.Service));
        using var metrics = new MetricRecorder(application);
        using var client = application.GetRequiredService<IHttpClientFactory>().CreateClient("client");

        Assert.Equal("hello", await client.GetStringAsync("x"));

        Assert.Equal(1, metrics.Value("discovery.client.load_reports", ("discovery.load_report.readable", false)));
    }

    private static Func<Task> CallOf(Field field, HttpProtocols protocols)
    {
        if (protocols == HttpProtocols.Http1)
        {
            var http = field.Client();
            return () => http.GetStringAsync("quick");
        }

        var grpc = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service)).GetRequiredService<Greeter.GreeterClient>();
        return () => grpc.SayHelloAsync(new HelloRequest { Name = "you" }).ResponseAsync;
    }

    private static double InFlight(IEnumerable<string> values) => InFlight(Convert.FromBase64String(Assert.Single(values)));

    /// <summary>The calls in flight are what a report ends with.</summary>
    private static double InFlight(byte[] report) => BinaryPrimitives.ReadDoubleLittleEndian(report.AsSpan(^sizeof(double)));

    /// <summary>A server that reports, has quick calls, and slow ones that end when they are released.</summary>
    private sealed class Server : IAsyncDisposable
    {
        private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _holding;
        private int _quick;
        private WebApplication _app = null!;

        private Server()
        {
        }

        public string Address => new Uri(_app.Urls.First()).Authority;

        public int Quick => Volatile.Read(ref _quick);

        public static async Task<Server> StartAsync(Field field, HttpProtocols protocols = HttpProtocols.Http1)
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, l => l.Protocols = protocols));
            builder.Services.AddGrpc();
            var server = new Server();
            builder.Services.AddSingleton(server);
            var app = server._app = builder.Build();
            app.UseEtcdLoadReport();
            app.UseEtcdLoadReport();
            app.MapGrpcService<Service>();
            app.MapGet("/quick", server.AnswerAsync);
            app.MapGet("/slow", server.WaitAsync);
            await app.StartAsync();
            await field.RegisterAsync(server.Address);
            return server;
        }

        /// <summary>Makes slow calls.</summary>
        /// <returns>Completes when they are under way, with what completes when they end.</returns>
        public async Task<Task> HoldAsync(HttpClient client, int calls)
        {
            var slow = Enumerable.Range(0, calls).Select(_ => client.GetStringAsync("slow")).ToArray();
            await Eventually.IsTrue(() => Volatile.Read(ref _holding) == calls);
            return Task.WhenAll(slow);
        }

        public void Release() => _released.TrySetResult();

        public async ValueTask DisposeAsync()
        {
            Release();
            await _app.DisposeAsync();
        }

        private Task AnswerAsync(HttpContext context)
        {
            Interlocked.Increment(ref _quick);
            return context.Response.WriteAsync("quick");
        }

        private async Task WaitAsync(HttpContext context)
        {
            Interlocked.Increment(ref _holding);
            await _released.Task;
            await context.Response.WriteAsync("slow");
        }

        private sealed class Service(Server server) : Greeter.GreeterBase
        {
            public override Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context)
            {
                Interlocked.Increment(ref server._quick);
                return request.Name.Length > 0
                    ? Task.FromResult(new HelloReply { Message = "hello" })
                    : throw new RpcException(new Status(StatusCode.InvalidArgument, "no name"));
            }
        }
    }
}
