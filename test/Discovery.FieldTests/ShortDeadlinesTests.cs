using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Polly;

namespace Discovery.FieldTests;

/// <summary>Calls that have some ten milliseconds, of services that need few.</summary>
public sealed class ShortDeadlinesTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(40);

    [Theory]
    [InlineData("client")]
    [InlineData("handler")]
    [InlineData("attempt")]
    public async Task A_hung_instance_is_ejected_however_short_the_time_of_its_calls(string limitedBy)
    {
        await using var field = await Field.StartAsync();
        var isHung = false;
        var hung = await field.StartServerAsync(c => Volatile.Read(ref isHung) ? Task.Delay(Timeout.Infinite, c.RequestAborted) : c.Response.WriteAsync("hello"));
        await field.StartServerAsync();
        await field.StartServerAsync();
        using var client = field.Client(
            static o => (o.Policy, o.Ejection.ConsecutiveTimeouts) = ("RoundRobin", 5),
            b =>
            {
                if (limitedBy == "handler")
                {
                    b.AddResilienceHandler("limit", static p => p.AddTimeout(Limit));
                }
                else if (limitedBy == "attempt")
                {
                    b.AddResilienceHandler("limit", static p => p.AddTimeout(TimeSpan.FromSeconds(30)).AddTimeout(Limit));
                }
            });
        client.Timeout = limitedBy == "client" ? Limit : client.Timeout;
        bool IsEjected() => field.Log.Lines.Any(l => l.Contains("are ejected", StringComparison.Ordinal) && l.Contains(hung.Address, StringComparison.Ordinal));

        // By then all is compiled and connected.
        for (var i = 0; i < 60; i++)
        {
            await TryAsync(() => client.GetStringAsync("x"));
        }

        Volatile.Write(ref isHung, true);
        var failed = 0;
        for (var i = 0; i < 120 && !IsEjected(); i++)
        {
            failed += await TryAsync(() => client.GetStringAsync("x")) ? 0 : 1;
        }

        Assert.True(IsEjected(), $"{failed} calls failed");
    }

    [Fact]
    public async Task A_hung_instance_is_ejected_when_short_deadlines_of_grpc_calls_pass()
    {
        await using var field = await Field.StartAsync();
        var isHung = false;
        var hung = await field.StartServerAsync(
            c => Volatile.Read(ref isHung) ? Task.Delay(Timeout.Infinite, c.RequestAborted) : GrpcAnswer.SendAsync(c, "hello"), HttpProtocols.Http2);
        await field.StartServerAsync(static c => GrpcAnswer.SendAsync(c, "hello"), HttpProtocols.Http2);
        var client = Client(field);
        await WarmUpAsync(client);
        bool IsEjected() => field.Log.Lines.Any(l => l.Contains("are ejected", StringComparison.Ordinal) && l.Contains(hung.Address, StringComparison.Ordinal));

        Volatile.Write(ref isHung, true);
        for (var i = 0; i < 120 && !IsEjected(); i++)
        {
            await TryAsync(() => client.SayHelloAsync(new HelloRequest(), deadline: DateTime.UtcNow + Limit).ResponseAsync);
        }

        Assert.True(IsEjected());
    }

    /// <summary>The slower one loses each time, and so never answers.</summary>
    [Fact]
    public async Task Hedges_that_lose_eject_nobody_however_short_the_deadline()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(static c => GrpcAnswer.SendAsync(c, "quick"), HttpProtocols.Http2);
        var slower = await StartSlowerAsync(field, milliseconds: 15);
        var client = Client(field, static b => b.ConfigureChannel(static o => o.ServiceConfig = GrpcHedges.Of(attempts: 2, TimeSpan.Zero)));
        await WarmUpAsync(client);
        var before = slower.Requests;

        for (var i = 0; i < 200; i++)
        {
            await TryAsync(() => client.SayHelloAsync(new HelloRequest(), deadline: DateTime.UtcNow.AddMilliseconds(50)).ResponseAsync);
        }

        Assert.True(slower.Requests > before);
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Callers_that_have_enough_before_a_short_deadline_eject_nobody(bool areRepeated)
    {
        await using var field = await Field.StartAsync();
        await StartSlowerAsync(field, milliseconds: 20);
        await StartSlowerAsync(field, milliseconds: 20);
        var client = Client(field, b =>
        {
            if (areRepeated)
            {
                b.ConfigureChannel(static o => o.ServiceConfig = GrpcRetries.Of(attempts: 2));
            }
        });

        // What is usual is not known yet: the first answer of each came with its connection.
        await WarmUpAsync(client, calls: 2);

        var served = 0;
        for (var i = 0; i < 60; i++)
        {
            using var enough = new CancellationTokenSource(TimeSpan.FromMilliseconds(8));
            served += await TryAsync(
                () => client.SayHelloAsync(new HelloRequest(), deadline: DateTime.UtcNow.AddMilliseconds(50), cancellationToken: enough.Token).ResponseAsync)
                ? 1 : 0;
        }

        Assert.InRange(served, 0, 30);
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
    }

    private static Task<BackendServer> StartSlowerAsync(Field field, int milliseconds) => field.StartServerAsync(
        async c =>
        {
            await Task.Delay(milliseconds);
            await GrpcAnswer.SendAsync(c, "slower");
        },
        HttpProtocols.Http2);

    private static Greeter.GreeterClient Client(Field field, Action<IHttpClientBuilder>? configure = null)
        => field.Application(
            s =>
            {
                var builder = s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service);
                configure?.Invoke(builder);
            },
            static o => o.Policy = "RoundRobin").GetRequiredService<Greeter.GreeterClient>();

    private static async Task WarmUpAsync(Greeter.GreeterClient client, int calls = 20)
    {
        for (var i = 0; i < calls; i++)
        {
            await client.SayHelloAsync(new HelloRequest());
        }
    }

    private static async Task<bool> TryAsync(Func<Task> call)
    {
        try
        {
            await call();
            return true;
        }
        catch (Exception e) when (e is OperationCanceledException or RpcException or Polly.Timeout.TimeoutRejectedException)
        {
            return false;
        }
    }
}
