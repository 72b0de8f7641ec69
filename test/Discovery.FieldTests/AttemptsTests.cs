using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Google.Protobuf;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http.Resilience;
using Polly;

namespace Discovery.FieldTests;

/// <summary>Retries and hedges above discovery.</summary>
public sealed class AttemptsTests
{
    [Theory]
    [InlineData("Random")]
    [InlineData("PickFirst")]
    [InlineData("ConsistentHash")]
    public async Task A_retry_goes_to_another_instance_than_the_one_that_failed(string policy)
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(FailAsync);
        var good = await field.StartServerAsync();
        using var client = field.Client(
            o => (o.Policy, o.Ejection.Enabled) = (policy, false),
            static b => b.AddStandardResilienceHandler(static o =>
            {
                o.Retry.MaxRetryAttempts = 1;
                o.Retry.Delay = TimeSpan.FromMilliseconds(1);
                o.CircuitBreaker.MinimumThroughput = 10_000;
            }));

        for (var i = 0; i < 40; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "x");
            request.Options.Set(EtcdRequestOptions.HashKey, $"{i}");
            using var response = await client.SendAsync(request);
            Assert.Equal(good.Address, await response.Content.ReadAsStringAsync());
        }
    }

    [Fact]
    public async Task A_hedge_goes_to_another_instance_than_the_one_that_is_slow()
    {
        await using var field = await Field.StartAsync();
        var hung = await field.StartServerAsync(static c => Task.Delay(Timeout.Infinite, c.RequestAborted));
        var good = await field.StartServerAsync();
        using var client = field.Client(
            static o => (o.Policy, o.Ejection.Enabled) = ("PickFirst", false),
            static b => b.AddStandardHedgingHandler().Configure(static o =>
            {
                o.Hedging.Delay = TimeSpan.FromMilliseconds(50);
                o.Hedging.MaxHedgedAttempts = 1;
            }));

        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(good.Address, await client.GetStringAsync("x").WaitAsync(TimeSpan.FromSeconds(20)));
        }
    }

    [Fact]
    public async Task A_grpc_retry_goes_to_another_instance_than_the_one_that_failed()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(static c => GrpcAnswer.FailAsync(c, 14), HttpProtocols.Http2);
        await field.StartServerAsync(static c => GrpcAnswer.SendAsync(c, "good"), HttpProtocols.Http2);
        var services = field.Application(
            static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service).ConfigureChannel(static o => o.ServiceConfig = GrpcRetries.Of(attempts: 2)),
            static o => (o.Policy, o.Ejection.Enabled) = ("Random", false));
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        for (var i = 0; i < 40; i++)
        {
            Assert.Equal("good", (await client.SayHelloAsync(new HelloRequest { Name = "x" })).Message);
        }
    }

    /// <summary>A clone of the hedging handler has lost the request's version policy, and without TLS the default one stands for HTTP/1.1.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("\"protocols\":\"h2\"")]
    public async Task A_hedge_is_sent_by_the_protocol_of_its_call(string metadata)
    {
        await using var field = await Field.StartAsync();
        var requests = 0;
        for (var i = 0; i < 2; i++)
        {
            await field.StartServerAsync(
                c => Interlocked.Increment(ref requests) % 2 == 1 ? Task.Delay(Timeout.Infinite, c.RequestAborted) : GrpcAnswer.SendAsync(c, "good"),
                HttpProtocols.Http2,
                metadata: metadata);
        }

        var services = field.Application(
            static s =>
            {
                s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service).AddStandardHedgingHandler().Configure(HedgeSoon);
                s.AddHttpClient("http").AddEtcdDiscovery(Field.Service).AddStandardHedgingHandler().Configure(HedgeSoon);
            },
            static o => o.Ejection.Enabled = false);
        var greeter = services.GetRequiredService<Greeter.GreeterClient>();
        using var http = services.GetRequiredService<IHttpClientFactory>().CreateClient("http");
        (http.DefaultRequestVersion, http.DefaultVersionPolicy) = (HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact);

        for (var i = 0; i < 10; i++)
        {
            Assert.Equal("good", (await greeter.SayHelloAsync(new HelloRequest { Name = "x" }).ResponseAsync.WaitAsync(TimeSpan.FromSeconds(20))).Message);
            Assert.Contains("good", await http.GetStringAsync("x").WaitAsync(TimeSpan.FromSeconds(20)), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_handler_retries_a_grpc_call_that_found_nobody_to_connect_to()
    {
        await using var field = await Field.StartAsync();
        var port = FreePort.Next();
        await field.RegisterAsync($"127.0.0.1:{port}");
        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service).AddStandardResilienceHandler(static o =>
        {
            (o.Retry.MaxRetryAttempts, o.Retry.Delay, o.Retry.BackoffType) = (1000, TimeSpan.FromMilliseconds(50), DelayBackoffType.Constant);
            o.CircuitBreaker.MinimumThroughput = 10_000;
        }));

        var call = services.GetRequiredService<Greeter.GreeterClient>().SayHelloAsync(new HelloRequest { Name = "x" }).ResponseAsync;
        await Eventually.IsTrue(() => field.Log.Lines.Any(static l => l.Contains("No connection to", StringComparison.Ordinal)));
        await using var server = await BackendServer.StartAsync(
            static c => GrpcAnswer.SendAsync(c, "good"), HttpProtocols.Http2, address: new IPEndPoint(IPAddress.Loopback, port));

        Assert.Equal("good", (await call).Message);
    }

    [Fact]
    public async Task A_grpc_call_below_a_handler_is_unavailable_and_says_why()
    {
        await using var field = await Field.StartAsync();
        await field.RegisterAsync(Field.DeadAddress(1));
        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service).AddHttpMessageHandler(static () => new RenewHandler()));

        var e = await Assert.ThrowsAsync<RpcException>(
            async () => await services.GetRequiredService<Greeter.GreeterClient>().SayHelloAsync(new HelloRequest { Name = "x" }));

        Assert.Equal(StatusCode.Unavailable, e.StatusCode);
        Assert.Contains("No connection to service 'svc': 1 instance tried", e.Status.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task A_hedge_beyond_the_budget_leaves_the_attempt_that_runs(bool byHandler, bool goesOn)
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 2; i++)
        {
            await field.StartServerAsync(
                static async c =>
                {
                    await Task.Delay(500);
                    await GrpcAnswer.SendAsync(c, "good");
                },
                HttpProtocols.Http2);
        }

        var services = field.Application(
            s =>
            {
                var builder = s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service);
                if (byHandler)
                {
                    builder.AddStandardHedgingHandler().Configure(HedgeSoon);
                }
                else
                {
                    builder.ConfigureChannel(o => o.ServiceConfig = GrpcHedges.Of(attempts: 2, TimeSpan.FromMilliseconds(50), goesOn));
                }
            },
            static o => o.RetryBudgetPercent = 1);
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        var answers = await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => client.SayHelloAsync(new HelloRequest { Name = "x" }).ResponseAsync));

        Assert.All(answers, static a => Assert.Equal("good", a.Message));
    }

    [Fact]
    public async Task A_call_whose_hedges_are_beyond_the_budget_fails_when_its_own_attempt_does()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(
            static async c =>
            {
                await Task.Delay(500);
                await GrpcAnswer.FailAsync(c, 14);
            },
            HttpProtocols.Http2);
        var services = field.Application(
            static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service)
                .ConfigureChannel(static o => o.ServiceConfig = GrpcHedges.Of(attempts: 3, TimeSpan.FromMilliseconds(50))),
            static o => (o.RetryBudgetPercent, o.Ejection.Enabled) = (1, false));
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        var calls = Enumerable.Range(0, 30).Select(async _ => await Assert.ThrowsAsync<RpcException>(
            async () => await client.SayHelloAsync(new HelloRequest { Name = "x" }).ResponseAsync.WaitAsync(TimeSpan.FromSeconds(30))));

        Assert.All(await Task.WhenAll(calls), static e => Assert.Equal(StatusCode.Unavailable, e.StatusCode));
    }

    [Theory]
    [InlineData(MethodType.Unary, 50)]
    [InlineData(MethodType.Unary, 0)]
    [InlineData(MethodType.ServerStreaming, 50)]
    [InlineData(MethodType.ClientStreaming, 50)]
    [InlineData(MethodType.DuplexStreaming, 50)]
    public async Task A_hedge_of_grpc_goes_to_another_instance_than_the_attempts_that_run(MethodType type, int delay)
    {
        await using var field = await Field.StartAsync();
        var attempts = new ConcurrentQueue<(string Call, int Server)>();
        for (var i = 0; i < 3; i++)
        {
            var server = i;
            await field.StartServerAsync(
                async c =>
                {
                    attempts.Enqueue((c.Request.Headers["call"].ToString(), server));
                    if (server == 0)
                    {
                        await Task.Delay(Timeout.Infinite, c.RequestAborted);
                    }

                    // To answer a message that is still being written cancels the writing.
                    _ = await c.Request.Body.ReadAsync(new byte[100]);
                    if (type == MethodType.ClientStreaming)
                    {
                        await c.Request.Body.CopyToAsync(Stream.Null);
                    }

                    await GrpcAnswer.SendAsync(c, "good");
                },
                HttpProtocols.Http2);
        }

        var services = field.Application(
            s => s.AddEtcdGrpcClient<RawClient>(Field.Service)
                .ConfigureChannel(o => o.ServiceConfig = GrpcHedges.Of(attempts: 3, TimeSpan.FromMilliseconds(delay))),
            static o => (o.Policy, o.Ejection.Enabled) = ("Random", false));
        var client = services.GetRequiredService<RawClient>();

        // With unary calls first, which connect.
        for (var i = 0; i < 50; i++)
        {
            Assert.Equal("good", await client.CallAsync(i < 10 ? MethodType.Unary : type, $"{i}").WaitAsync(TimeSpan.FromSeconds(20)));
        }

        Assert.Equal(attempts.Count, attempts.Distinct().Count());
        Assert.Contains(attempts, static a => a.Server == 0);
    }

    [Fact]
    public async Task An_instance_that_hangs_is_ejected_though_hedges_of_grpc_answer_in_its_place()
    {
        await using var field = await Field.StartAsync();
        var hung = await field.StartServerAsync(static c => Task.Delay(Timeout.Infinite, c.RequestAborted), HttpProtocols.Http2);
        for (var i = 0; i < 2; i++)
        {
            await field.StartServerAsync(static c => GrpcAnswer.SendAsync(c, "good"), HttpProtocols.Http2);
        }

        var services = field.Application(
            static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service)
                .ConfigureChannel(static o => o.ServiceConfig = GrpcHedges.Of(attempts: 2, TimeSpan.FromMilliseconds(500))),
            static o => o.Policy = "RoundRobin");
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        await Eventually.IsTrue(async () =>
        {
            await client.SayHelloAsync(new HelloRequest { Name = "x" }).ResponseAsync.WaitAsync(TimeSpan.FromSeconds(20));
            return field.Log.Lines.Any(l => l.Contains(hung.Address, StringComparison.Ordinal) && l.Contains("no answer in time", StringComparison.Ordinal));
        });
    }

    [Fact]
    public async Task Retries_of_grpc_avoid_what_failed_before_also_with_many_callers_at_a_time()
    {
        await using var field = await Field.StartAsync();
        var attempts = new ConcurrentQueue<(string Call, int Server)>();
        for (var i = 0; i < 3; i++)
        {
            var server = i;
            await field.StartServerAsync(
                c =>
                {
                    attempts.Enqueue((c.Request.Headers["call"].ToString(), server));
                    return server < 2 ? GrpcAnswer.FailAsync(c, 14) : GrpcAnswer.SendAsync(c, "good");
                },
                HttpProtocols.Http2);
        }

        var services = field.Application(
            static s => s.AddEtcdGrpcClient<RawClient>(Field.Service).ConfigureChannel(static o => o.ServiceConfig = GrpcRetries.Of(attempts: 3)),
            static o => (o.Policy, o.Ejection.Enabled) = ("Random", false));
        var client = services.GetRequiredService<RawClient>();

        await Task.WhenAll(Enumerable.Range(0, 16).Select(async caller =>
        {
            for (var i = 0; i < 25; i++)
            {
                Assert.Equal("good", await client.CallAsync(MethodType.Unary, $"{caller}.{i}"));
            }
        }));

        Assert.Equal(attempts.Count, attempts.Distinct().Count());
    }

    [Fact]
    public async Task Attempts_of_handlers_below_retries_of_grpc_avoid_what_those_were_sent_to()
    {
        await using var field = await Field.StartAsync();
        var attempts = new ConcurrentQueue<(string Call, int Server)>();
        for (var i = 0; i < 4; i++)
        {
            var server = i;
            await field.StartServerAsync(
                c =>
                {
                    attempts.Enqueue((c.Request.Headers["call"].ToString(), server));
                    if (server % 2 == 0)
                    {
                        return GrpcAnswer.FailAsync(c, 14);
                    }

                    c.Abort();
                    return Task.CompletedTask;
                },
                HttpProtocols.Http2);
        }

        var services = field.Application(
            static s => s.AddEtcdGrpcClient<RawClient>(Field.Service)
                .ConfigureChannel(static o => o.ServiceConfig = GrpcRetries.Of(attempts: 2))
                .AddResilienceHandler("retry", static p => p.AddRetry(new HttpRetryStrategyOptions { MaxRetryAttempts = 1, Delay = TimeSpan.Zero })),
            static o => (o.Policy, o.Ejection.Enabled) = ("Random", false));
        var client = services.GetRequiredService<RawClient>();

        for (var i = 0; i < 40; i++)
        {
            await Assert.ThrowsAsync<RpcException>(() => client.CallAsync(MethodType.Unary, $"{i}"));
        }

        Assert.True(attempts.Count >= 80);
        Assert.Equal(attempts.Count, attempts.Distinct().Count());
    }

    [Fact]
    public async Task A_client_without_handlers_that_may_try_again_does_not_keep_what_was_tried()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync();
        using var client = field.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, "x");

        using var response = await client.SendAsync(request);

        Assert.DoesNotContain(request.Options, static o => o.Key == "discovery-tried");
    }

    /// <summary>Nor does that count as a retry.</summary>
    [Theory]
    [InlineData("PickFirst", 401)]
    [InlineData("ConsistentHash", 401)]
    [InlineData("ConsistentHash", 403)]
    [InlineData("ConsistentHash", 307)]
    [InlineData("ConsistentHash", 202)]
    public async Task What_a_handler_sends_after_an_answer_goes_to_the_same_instance(string policy, int status)
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 3; i++)
        {
            await field.StartServerAsync(c =>
            {
                c.Response.StatusCode = c.Request.Headers.Authorization.Count > 0 ? 200 : status;
                return Task.CompletedTask;
            });
        }

        using var client = field.Client(
            o => (o.Policy, o.Ejection.Enabled, o.RetryBudgetPercent) = (policy, false, 1), static b => b.AddHttpMessageHandler(static () => new RenewHandler()));

        for (var i = 0; i < 30; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "x");
            request.Options.Set(EtcdRequestOptions.HashKey, "one");
            using var response = await client.SendAsync(request);

            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            request.Options.TryGetValue(RenewHandler.FirstServedBy, out var first);
            Assert.Equal(first, response.GetServedBy()?.Address);
        }
    }

    [Fact]
    public async Task After_a_body_that_broke_off_a_handler_that_reads_it_goes_to_another_instance()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(static async c =>
        {
            c.Response.ContentLength = 100;
            await c.Response.WriteAsync("broken");
            await c.Response.Body.FlushAsync();
            c.Abort();
        });
        var good = await field.StartServerAsync();
        using var client = field.Client(
            static o => (o.Policy, o.Ejection.Enabled) = ("Random", false), static b => b.AddHttpMessageHandler(static () => new ReadingHandler()));

        for (var i = 0; i < 40; i++)
        {
            Assert.Equal(good.Address, await client.GetStringAsync("x"));
        }
    }

    [Fact]
    public async Task Retries_beyond_the_budget_are_refused()
    {
        await using var field = await Field.StartAsync();
        var servers = new[] { await field.StartServerAsync(FailAsync), await field.StartServerAsync(FailAsync) };
        using var client = field.Client(
            static o => (o.Ejection.Enabled, o.RetryBudgetPercent) = (false, 10),
            static b => b.AddResilienceHandler("retry", static p => p.AddRetry(new HttpRetryStrategyOptions { MaxRetryAttempts = 3, Delay = TimeSpan.Zero })));

        for (var i = 0; i < 200; i++)
        {
            try
            {
                using var response = await client.GetAsync("x");
            }
            catch (HttpRequestException e)
            {
                Assert.Contains("Etcd:Discovery:RetryBudgetPercent", e.Message, StringComparison.Ordinal);
            }
        }

        // A tenth of the calls, and what is in reserve.
        Assert.InRange(servers.Sum(static s => s.Requests), 220, 235);
    }

    private static void HedgeSoon(HttpStandardHedgingResilienceOptions options)
        => (options.Hedging.Delay, options.Hedging.MaxHedgedAttempts) = (TimeSpan.FromMilliseconds(50), 1);

    private static Task FailAsync(HttpContext context)
    {
        context.Response.StatusCode = (int)HttpStatusCode.ServiceUnavailable;
        return Task.CompletedTask;
    }

    /// <summary>A client that calls by each kind of method, and says in metadata which call it is.</summary>
    private sealed class RawClient(CallInvoker invoker)
    {
        public async Task<string> CallAsync(MethodType type, string call)
        {
            var method = new Method<HelloRequest, HelloReply>(
                type,
                "helloworld.Greeter",
                type.ToString(),
                Marshallers.Create(static r => r.ToByteArray(), HelloRequest.Parser.ParseFrom),
                Marshallers.Create(static r => r.ToByteArray(), HelloReply.Parser.ParseFrom));
            var options = new CallOptions(new Metadata { { "call", call } });
            var request = new HelloRequest { Name = "x" };
            switch (type)
            {
                case MethodType.Unary:
                    return (await invoker.AsyncUnaryCall(method, null, options, request)).Message;
                case MethodType.ServerStreaming:
                    using (var stream = invoker.AsyncServerStreamingCall(method, null, options, request))
                    {
                        Assert.True(await stream.ResponseStream.MoveNext(CancellationToken.None));
                        return stream.ResponseStream.Current.Message;
                    }

                case MethodType.ClientStreaming:
                    using (var stream = invoker.AsyncClientStreamingCall(method, null, options))
                    {
                        await stream.RequestStream.WriteAsync(request);
                        await stream.RequestStream.CompleteAsync();
                        return (await stream).Message;
                    }

                default:
                    using (var stream = invoker.AsyncDuplexStreamingCall(method, null, options))
                    {
                        await stream.RequestStream.WriteAsync(request);
                        Assert.True(await stream.ResponseStream.MoveNext(CancellationToken.None));
                        return stream.ResponseStream.Current.Message;
                    }
            }
        }
    }

    /// <summary>Sends again with a token what was not answered by 200.</summary>
    private sealed class RenewHandler : DelegatingHandler
    {
        public static HttpRequestOptionsKey<string?> FirstServedBy { get; } = new("first");

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var response = await base.SendAsync(request, cancellationToken);
            if (response.StatusCode == HttpStatusCode.OK)
            {
                return response;
            }

            request.Options.Set(FirstServedBy, response.GetServedBy()?.Address);
            response.Dispose();
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", "new");
            return await base.SendAsync(request, cancellationToken);
        }
    }

    /// <summary>Reads answers as a part of an attempt, and makes two.</summary>
    private sealed class ReadingHandler : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            try
            {
                return await ReadAsync(request, cancellationToken);
            }
            catch (HttpRequestException)
            {
                return await ReadAsync(request, cancellationToken);
            }
        }

        private async Task<HttpResponseMessage> ReadAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var response = await base.SendAsync(request, cancellationToken);
            await response.Content.LoadIntoBufferAsync(cancellationToken);
            return response;
        }
    }
}
