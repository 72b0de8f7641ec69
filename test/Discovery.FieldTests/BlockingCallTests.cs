using Discovery.FieldTests.Support;
using Helloworld;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>Calls that block a thread on which all continuations are to run, as in Blazor Server, WPF and WinForms.</summary>
public sealed class BlockingCallTests
{
    [Fact]
    public async Task A_blocking_http_call_returns()
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync();
        await field.RegisterAsync(Field.DeadAddress(1));
        using var client = field.Client(o => o.Policy = "RoundRobin");

        // More than one, so that one of them meets the dead instance, and another waits for the first snapshot.
        var answers = await SingleThread.RunAsync(() => Enumerable.Range(0, 4).Select(_ => client.GetStringAsync("x").Result).ToList());

        Assert.All(answers, a => Assert.Equal(server.Address, a));
    }

    [Fact]
    public async Task A_blocking_grpc_call_returns()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(static c => GrpcAnswer.SendAsync(c, "hello"), HttpProtocols.Http2);
        var services = field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service));
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        // The first waits for the first snapshot, and what follows a wait is on another thread.
        var replies = await SingleThread.RunAsync(() => Enumerable.Range(0, 3).Select(_ => client.SayHello(new HelloRequest { Name = "x" })).ToList());

        Assert.All(replies, static r => Assert.Equal("hello", r.Message));
    }
}
