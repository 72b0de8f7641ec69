using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>An instance that takes calls and never answers, while its lease and its pings go on.</summary>
public sealed class HungInstancesTests
{
    private const int Calls = 60;

    [Theory]
    [InlineData("LeastLoad")]
    [InlineData("RoundRobin")]
    [InlineData("Random")]
    [InlineData("ConsistentHash")]
    [InlineData("PickFirst")]
    public async Task A_hung_instance_is_ejected_when_the_timeout_of_an_http_client_passes(string policy)
    {
        await using var field = await Field.StartAsync();
        var works = await StartAsync(field, HttpProtocols.Http1, static c => c.Response.WriteAsync("hello"));
        using var client = field.Client(o => o.Policy = policy);
        client.Timeout = TimeSpan.FromMilliseconds(300);
        var failed = 0;
        for (var i = 0; i < Calls; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "x");
            request.Options.Set(EtcdRequestOptions.HashKey, $"{i % 8}");
            try
            {
                using var response = await client.SendAsync(request);
            }
            catch (OperationCanceledException)
            {
                failed++;
            }
        }

        Assert.InRange(failed, 0, 12);
        Assert.True(works.Sum(static s => s.Requests) >= Calls - 12);
    }

    [Theory]
    [InlineData("LeastLoad")]
    [InlineData("RoundRobin")]
    [InlineData("Random")]
    [InlineData("ConsistentHash")]
    [InlineData("PickFirst")]
    public async Task A_hung_instance_is_ejected_when_deadlines_of_grpc_calls_pass(string policy)
    {
        await using var field = await Field.StartAsync();
        await StartAsync(field, HttpProtocols.Http2, static c => GrpcAnswer.SendAsync(c, "hello"));
        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service), o => o.Policy = policy);
        var client = services.GetRequiredService<Greeter.GreeterClient>();
        var failed = 0;
        for (var i = 0; i < Calls; i++)
        {
            try
            {
                await client.SayHelloAsync(
                    new HelloRequest(), new Metadata { { EtcdCallMetadata.HashKey, $"{i % 8}" } }, DateTime.UtcNow.AddMilliseconds(300));
            }
            catch (RpcException)
            {
                failed++;
            }
        }

        Assert.InRange(failed, 0, 12);
    }

    [Theory]
    [InlineData("LeastLoad", false)]
    [InlineData("RoundRobin", false)]
    [InlineData("RoundRobin", true)]
    [InlineData("PickFirst", true)]
    public async Task An_instance_whose_bodies_never_come_is_ejected_when_the_timeout_of_an_http_client_passes(string policy, bool isBuffered)
    {
        await using var field = await Field.StartAsync();
        await StartAsync(field, HttpProtocols.Http1, static c => c.Response.WriteAsync("hello"), static async c =>
        {
            await c.Response.WriteAsync("hel");
            await c.Response.Body.FlushAsync();
        });
        using var client = field.Client(o => o.Policy = policy);
        client.Timeout = TimeSpan.FromMilliseconds(300);

        var failed = await CountFailuresAsync(async () =>
        {
            if (isBuffered)
            {
                using var response = await client.GetAsync("x");
            }
            else
            {
                await client.GetStringAsync("x");
            }
        });

        Assert.InRange(failed, 1, 12);
    }

    [Theory]
    [InlineData("LeastLoad")]
    [InlineData("RoundRobin")]
    [InlineData("PickFirst")]
    public async Task An_instance_whose_messages_never_come_is_ejected_when_deadlines_of_grpc_calls_pass(string policy)
    {
        await using var field = await Field.StartAsync();
        await StartAsync(field, HttpProtocols.Http2, static c => GrpcAnswer.SendAsync(c, "hello"), static c =>
        {
            c.Response.ContentType = "application/grpc";
            return c.Response.Body.FlushAsync();
        });
        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service), o => o.Policy = policy);
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        var failed = await CountFailuresAsync(
            () => client.SayHelloAsync(new HelloRequest(), deadline: DateTime.UtcNow.AddMilliseconds(300)).ResponseAsync);

        Assert.InRange(failed, 1, 12);
    }

    [Fact]
    public async Task A_hung_instance_is_ejected_when_the_time_of_attempts_passes_be_it_a_few_times_the_usual_only()
    {
        await using var field = await Field.StartAsync();
        await StartAsync(field, HttpProtocols.Http1, static async c =>
        {
            await Task.Delay(100);
            await c.Response.WriteAsync("hello");
        });
        using var client = field.Client(static o => o.Policy = "RoundRobin", static b => b.AddHttpMessageHandler(static () => new AttemptTimeout(TimeSpan.FromMilliseconds(500))));

        Assert.InRange(await CountFailuresAsync(() => client.GetStringAsync("x")), 1, 12);
    }

    [Fact]
    public async Task Deadlines_below_what_is_usual_eject_nobody()
    {
        await using var field = await Field.StartAsync();
        var servers = new List<BackendServer>();
        while (servers.Count < 3)
        {
            servers.Add(await field.StartServerAsync(
                static async c =>
                {
                    await Task.Delay(200);
                    await GrpcAnswer.SendAsync(c, "hello");
                },
                HttpProtocols.Http2));
        }

        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service), static o => o.Policy = "RoundRobin");
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        // The first answer of each is no measure, for it came with the connection.
        for (var i = 0; i < 6; i++)
        {
            await client.SayHelloAsync(new HelloRequest());
        }

        var failed = 0;
        for (var i = 0; i < 30; i++)
        {
            try
            {
                await client.SayHelloAsync(new HelloRequest(), deadline: DateTime.UtcNow.AddMilliseconds(20));
            }
            catch (RpcException)
            {
                failed++;
            }
        }

        Assert.InRange(failed, 20, 30);
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_instance_whose_events_a_caller_awaits_for_as_long_as_he_likes_is_not_ejected()
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync(static async c =>
        {
            await c.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, c.RequestAborted);
        });
        await field.StartServerAsync();
        using var client = field.Client(
            static o => (o.Policy, o.Ejection.ConsecutiveTimeouts) = ("RoundRobin", 1),
            static b => b.AddHttpMessageHandler(static () => new AttemptTimeout(TimeSpan.FromMinutes(1))));
        using var application = new CancellationTokenSource();
        for (var i = 0; i < 8; i++)
        {
            using var time = CancellationTokenSource.CreateLinkedTokenSource(application.Token);
            using var response = await client.GetAsync("x", HttpCompletionOption.ResponseHeadersRead);
            var events = await response.Content.ReadAsStreamAsync();
            time.CancelAfter(TimeSpan.FromMilliseconds(100));
            try
            {
                await events.ReadExactlyAsync(new byte[1], time.Token);
            }
            catch (OperationCanceledException)
            {
                // Nothing happened in the time that the caller gave it.
            }
        }

        Assert.Equal(4, server.Requests);
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
    }

    /// <summary>A file that is larger than what comes within the time, of which something came all along.</summary>
    [Fact]
    public async Task A_download_whose_time_its_caller_limits_ejects_nobody()
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync(static async c =>
        {
            while (!c.RequestAborted.IsCancellationRequested)
            {
                await c.Response.Body.WriteAsync(new byte[1000], c.RequestAborted);
                await Task.Delay(10, c.RequestAborted);
            }
        });
        await field.StartServerAsync();
        using var client = field.Client(static o => (o.Policy, o.Ejection.ConsecutiveTimeouts) = ("RoundRobin", 1));
        using var application = new CancellationTokenSource();
        for (var i = 0; i < 8; i++)
        {
            using var time = CancellationTokenSource.CreateLinkedTokenSource(application.Token);
            using var response = await client.GetAsync("x", HttpCompletionOption.ResponseHeadersRead, application.Token);
            time.CancelAfter(TimeSpan.FromMilliseconds(200));
            try
            {
                await response.Content.CopyToAsync(new MemoryStream(), time.Token);
            }
            catch (OperationCanceledException)
            {
                // The caller's time was over.
            }
        }

        Assert.Equal(4, server.Requests);
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
    }

    private static async Task<int> CountFailuresAsync(Func<Task> call)
    {
        var failed = 0;
        for (var i = 0; i < Calls; i++)
        {
            try
            {
                await call();
            }
            catch (Exception e) when (e is OperationCanceledException or RpcException)
            {
                failed++;
            }
        }

        return failed;
    }

    /// <summary>One that hangs, perhaps after it has begun to answer, and two that work.</summary>
    private static async Task<List<BackendServer>> StartAsync(Field field, HttpProtocols protocols, RequestDelegate answer, RequestDelegate? begin = null)
    {
        var hung = await BackendServer.StartAsync(
            async c =>
            {
                await (begin?.Invoke(c) ?? Task.CompletedTask);
                await Task.Delay(Timeout.Infinite, c.RequestAborted);
            },
            protocols);
        field.Own(hung);

        // PickFirst goes by keys.
        await field.PutAsync($"services/{Field.Service}/!", $$"""{"Op":0,"Addr":"{{hung.Address}}"}""");
        var servers = new List<BackendServer> { hung };
        while (servers.Count < 3)
        {
            servers.Add(await field.StartServerAsync(answer, protocols));
        }

        return servers[1..];
    }

    /// <summary>What resilience handlers do with an attempt that takes too long.</summary>
    private sealed class AttemptTimeout(TimeSpan limit) : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            timer.CancelAfter(limit);
            return await base.SendAsync(request, timer.Token);
        }
    }
}
