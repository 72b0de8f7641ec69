using System.Net;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
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

    private static Task FailAsync(HttpContext context)
    {
        context.Response.StatusCode = (int)HttpStatusCode.ServiceUnavailable;
        return Task.CompletedTask;
    }
}
