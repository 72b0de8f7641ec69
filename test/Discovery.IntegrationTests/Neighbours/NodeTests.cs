using Discovery.IntegrationTests.Discovery;
using Discovery.IntegrationTests.Etcd;
using Discovery.IntegrationTests.Interop;
using Discovery.IntegrationTests.Registration;
using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Peers.V1;
using Xunit.Abstractions;
using InteropClient = Peers.V1.Interop.InteropClient;

namespace Discovery.IntegrationTests.Neighbours;

/// <summary>Servers and clients in Node.js that register and find each other by etcd3, and ours among them.</summary>
public sealed class NodeTests(OneNode node, ITestOutputHelper output) : IClassFixture<OneNode>
{
    private readonly Rollout _rollout = new(output, servers: 2, rounds: 2, callsPerRound: 100);
    private readonly string _service = RecordReading.NewService();

    public static TheoryData<string, string> Ways => new() { { "naming", "EtcdNaming" }, { "openim", "OpenIm" } };

    private string Etcd => node.Etcd.Endpoint;

    [Theory, MemberData(nameof(Ways))]
    public async Task Our_client_finds_and_calls_a_server_in_Node(string way, string layout)
    {
        await using var server = await Neighbour.ServeInNodeAsync(Etcd, way, _service);
        await using var services = Application.Client(Etcd, _service, layout);
        var client = services.GetRequiredService<InteropClient>();
        var message = new Message { Text = "grüße", Number = -7, Payload = ByteString.CopyFrom(0, 255) };

        using (var call = client.EchoAsync(message))
        {
            Assert.Equal(_service, (await call.ResponseHeadersAsync).GetValue("received-authority"));
            Assert.Equal(message, await call);
        }

        using (var call = client.Count(new Message { Number = 200 }))
        {
            Assert.Equal(Enumerable.Range(0, 200), await call.ResponseStream.ReadAllAsync().Select(static m => m.Number).ToListAsync());
            Assert.Equal("200", call.GetTrailers().GetValue("count"));
        }

        using (var call = client.Chat())
        {
            await call.RequestStream.WriteAsync(message);
            Assert.True(await call.ResponseStream.MoveNext());
            await call.RequestStream.CompleteAsync();
            Assert.False(await call.ResponseStream.MoveNext());
        }

        using (var call = client.EchoMetadataAsync(new Message(), new Metadata { { "echo-text", "some text, with a comma" }, { "echo-bytes-bin", [0, 254] } }))
        {
            Assert.Equal("some text, with a comma", (await call.ResponseHeadersAsync).GetValue("echo-text"));
            await call;
            Assert.Equal([0, 254], call.GetTrailers().GetValueBytes("trailer-echo-bytes-bin"));
        }

        var late = await Failure.OfAsync(() => client.WaitAsync(new Message { Number = -1 }, deadline: TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(0.5)).ResponseAsync);
        Assert.Equal(StatusCode.DeadlineExceeded, late.StatusCode);

        const string Text = "größer als 100 %\n日本 🙂";
        var failure = await Failure.OfAsync(() => client.FailAsync(new Message { Number = (int)StatusCode.NotFound, Text = Text }).ResponseAsync);
        Assert.Equal((StatusCode.NotFound, Text, "asked"), (failure.StatusCode, failure.Status.Detail, failure.Trailers.GetValue("reason")));
        var info = failure.GetRpcStatus()?.GetDetail<ErrorInfo>();
        Assert.Equal(("ASKED", Text), (info?.Reason, info?.Metadata["text"]));
    }

    [Theory, MemberData(nameof(Ways))]
    public async Task A_client_in_Node_gets_what_the_proto_promises(string way, string layout)
    {
        await using var server = await Application.ServeAsync(Etcd, _service, layout);
        await using var client = await Neighbour.StartInNodeAsync("check", Etcd, way, _service);

        await client.SucceedsAsync();

        Assert.Equal(18, client.Output.Split('\n').Count(static l => l.StartsWith("ok ", StringComparison.Ordinal)));
    }

    [Theory, MemberData(nameof(Ways))]
    public async Task No_call_of_ours_fails_when_servers_in_Node_come_and_go(string way, string layout)
    {
        await using var services = Application.Client(Etcd, _service, layout);
        await _rollout.OfTheirsAsync(
            $"Our client and servers in Node by {way}", services.GetRequiredService<InteropClient>(), () => Neighbour.ServeInNodeAsync(Etcd, way, _service));
    }

    [Theory, MemberData(nameof(Ways))]
    public async Task No_call_of_a_client_in_Node_fails_when_servers_of_ours_come_and_go(string way, string layout)
        => await _rollout.OfOursAsync(
            $"A client in Node by {way} and our servers",
            () => Application.ServeAsync(Etcd, _service, layout, Rollout.Delays),
            () => Neighbour.StartInNodeAsync("load", Etcd, way, _service));
}
