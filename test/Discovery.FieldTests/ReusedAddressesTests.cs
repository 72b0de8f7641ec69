using System.Net;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>Another process at the address of one before, whose record says no id by which the two could be told apart, or the same one.</summary>
public sealed class ReusedAddressesTests
{
    /// <summary>What a container of a pod is that was restarted, where the id is the pod's name.</summary>
    private const string SameId = "\"id\":\"pod-1\"";

    [Theory]
    [InlineData("")]
    [InlineData(SameId)]
    public async Task One_that_speaks_another_protocol_than_the_one_before_gets_calls(string metadata)
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(static c => GrpcAnswer.SendAsync(c, "other"), HttpProtocols.Http2);
        await using var before = await BackendServer.StartAsync(static c => c.Response.WriteAsync("rest"));
        await field.RegisterAsync(before.Address, metadata, lease: await field.GrantLeaseAsync());
        var client = Client(field, static o => o.Policy = "RoundRobin");
        await Eventually.IsTrue(async () => await SayHelloAsync(client) is null);
        var address = before.Address;
        await before.DisposeAsync();

        if (metadata == "")
        {
            await field.DeregisterAsync(address);
        }

        await StartAtAsync(field, address, metadata);

        await Eventually.IsTrue(async () => await SayHelloAsync(client) == "again");
    }

    [Theory]
    [InlineData("")]
    [InlineData(SameId)]
    public async Task One_that_comes_back_is_called_at_once_however_long_the_one_before_is_ejected(string metadata)
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(static c => GrpcAnswer.SendAsync(c, "other"), HttpProtocols.Http2);
        await using var before = await BackendServer.StartAsync(static c => GrpcAnswer.FailAsync(c, 14), HttpProtocols.Http2);
        await field.RegisterAsync(before.Address, metadata, lease: await field.GrantLeaseAsync());
        var client = Client(
            field, static o => (o.Policy, o.Ejection.BaseDuration, o.Ejection.MaxDuration) = ("RoundRobin", TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(10)));
        await Eventually.IsTrue(async () =>
        {
            await SayHelloAsync(client);
            return field.Log.Lines.Any(static l => l.Contains("are ejected", StringComparison.Ordinal));
        });
        var address = before.Address;
        await before.DisposeAsync();

        await StartAtAsync(field, address, metadata);

        await Eventually.IsTrue(async () => await SayHelloAsync(client) == "again");
    }

    private static Greeter.GreeterClient Client(Field field, Action<AspNetCore.EtcdDiscoveryOptions> options)
        => field.Application(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service), options).GetRequiredService<Greeter.GreeterClient>();

    private static async Task StartAtAsync(Field field, string address, string metadata)
    {
        field.Own(await BackendServer.StartAsync(static c => GrpcAnswer.SendAsync(c, "again"), HttpProtocols.Http2, address: IPEndPoint.Parse(address)));
        await field.RegisterAsync(address, metadata, lease: await field.GrantLeaseAsync());
    }

    private static async Task<string?> SayHelloAsync(Greeter.GreeterClient client)
    {
        try
        {
            return (await client.SayHelloAsync(new HelloRequest())).Message;
        }
        catch (RpcException)
        {
            return null;
        }
    }
}
