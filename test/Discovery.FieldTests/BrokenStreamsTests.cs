using System.Collections.Concurrent;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Google.Protobuf;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>Streams that send messages and then end by an error of the application.</summary>
public sealed class BrokenStreamsTests
{
    private static readonly Method<HelloRequest, HelloReply> Watch = new(
        MethodType.ServerStreaming,
        "helloworld.Greeter",
        "Watch",
        Marshallers.Create(static r => r.ToByteArray(), HelloRequest.Parser.ParseFrom),
        Marshallers.Create(static r => r.ToByteArray(), HelloReply.Parser.ParseFrom));

    [Fact]
    public async Task Streams_of_one_hash_key_that_throw_eject_no_server()
    {
        await using var field = await Field.StartAsync();
        var servers = new ConcurrentDictionary<string, string>();
        for (var i = 0; i < 3; i++)
        {
            var server = $"{i}";
            await field.StartServerAsync(
                c =>
                {
                    var key = c.Request.Headers["key"].ToString();
                    servers[key] = server;
                    return GrpcAnswer.SendAsync(c, server, key == "bad" ? StatusCode.Unknown : StatusCode.OK);
                },
                HttpProtocols.Http2);
        }

        var client = Client(field, static o => o.Policy = "ConsistentHash");
        await client.ReadAsync(KeyOf("bad"));
        var elsewhere = "";
        for (var i = 0; elsewhere.Length == 0; i++)
        {
            await client.ReadAsync(KeyOf($"good-{i}"));
            elsewhere = servers[$"good-{i}"] == servers["bad"] ? "" : $"good-{i}";
        }

        for (var i = 0; i < 80; i++)
        {
            Assert.Equal(StatusCode.Unknown, await client.ReadAsync(KeyOf("bad")));
            Assert.Equal(StatusCode.OK, await client.ReadAsync(KeyOf(elsewhere)));
        }

        AssertNobodyIsEjected(field);
    }

    [Theory]
    [InlineData(StatusCode.Unknown)]
    [InlineData(StatusCode.Unimplemented)]
    public async Task Streams_that_are_for_one_instance_eject_nobody(StatusCode status)
    {
        await using var field = await Field.StartAsync();
        var failing = (await field.StartServerAsync(c => GrpcAnswer.SendAsync(c, "1", status), HttpProtocols.Http2)).Address;
        var serving = (await field.StartServerAsync(static c => GrpcAnswer.SendAsync(c, "2"), HttpProtocols.Http2)).Address;
        var client = Client(field, static o => o.Policy = "RoundRobin");

        for (var i = 0; i < 80; i++)
        {
            Assert.Equal(status, await client.ReadAsync(PinnedTo(failing)));
            Assert.Equal(StatusCode.OK, await client.ReadAsync(PinnedTo(serving)));
        }

        AssertNobodyIsEjected(field);
    }

    [Fact]
    public async Task A_stream_that_throws_everywhere_after_its_first_message_ejects_nobody()
    {
        await using var field = await Field.StartAsync();
        List<string> addresses = [];
        for (var i = 0; i < 2; i++)
        {
            addresses.Add((await field.StartServerAsync(
                static c => GrpcAnswer.SendAsync(c, "x", c.Request.Headers["key"] == "good" ? StatusCode.OK : StatusCode.Unknown),
                HttpProtocols.Http2)).Address);
        }

        var client = Client(field, static o => o.Policy = "PickFirst");
        var first = await FirstOfAsync(client);
        var second = addresses.Single(a => a != first);

        for (var i = 0; i < 80; i++)
        {
            Assert.Equal(StatusCode.Unknown, await client.ReadAsync([]));
            Assert.Equal(StatusCode.Unknown, await client.ReadAsync(PinnedTo(second)));

            // The other server works, as another method shows.
            Assert.Equal(StatusCode.OK, await client.ReadAsync([.. PinnedTo(second), new Metadata.Entry("key", "good")], "Other"));
        }

        AssertNobodyIsEjected(field);
    }

    [Fact]
    public async Task A_server_that_breaks_off_its_streams_is_ejected_while_those_of_others_go_on()
    {
        await using var field = await Field.StartAsync();
        var broken = (await field.StartServerAsync(static c => GrpcAnswer.SendAsync(c, "x", StatusCode.Unknown), HttpProtocols.Http2)).Address;
        for (var i = 0; i < 2; i++)
        {
            await field.StartServerAsync(
                static async c =>
                {
                    while (!c.RequestAborted.IsCancellationRequested)
                    {
                        await GrpcAnswer.WriteAsync(c, "x");
                        await Task.Delay(300, c.RequestAborted);
                    }
                },
                HttpProtocols.Http2);
        }

        var client = Client(field, static o => o.Policy = "RoundRobin");
        using var end = new CancellationTokenSource();
        List<Task> streams = [];

        bool IsEjected() => field.Log.Lines.Any(l => l.Contains(broken, StringComparison.Ordinal) && l.Contains("errors in a row (500, INTERNAL or UNKNOWN), and others serve", StringComparison.Ordinal));
        await Eventually.IsTrue(async () =>
        {
            streams.Add(client.ReadAsync([], token: end.Token));
            await Task.WhenAny(streams[^1], Task.Delay(5));
            return IsEjected();
        });

        await end.CancelAsync();
        await Task.WhenAll(streams);
    }

    private static Metadata KeyOf(string key) => new() { { EtcdCallMetadata.HashKey, key }, { "key", key } };

    private static Metadata PinnedTo(string address) => new() { { EtcdCallMetadata.Instance, address } };

    private static async Task<string> FirstOfAsync(WatchClient client)
    {
        var metadata = new Metadata { { EtcdCallMetadata.ServedBy, "" }, { "key", "good" } };
        return await client.ServedByAsync(metadata);
    }

    private static void AssertNobodyIsEjected(Field field)
        => Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("eject", StringComparison.Ordinal));

    private static WatchClient Client(Field field, Action<EtcdDiscoveryOptions> options)
        => field.Application(static s => s.AddEtcdGrpcClient<WatchClient>(Field.Service), options).GetRequiredService<WatchClient>();

    private sealed class WatchClient(CallInvoker invoker)
    {
        public async Task<StatusCode> ReadAsync(Metadata metadata, string method = "Watch", CancellationToken token = default)
        {
            using var call = Start(metadata, method, token);
            return await EndAsync(call);
        }

        public async Task<string> ServedByAsync(Metadata metadata)
        {
            using var call = Start(metadata, "Other", CancellationToken.None);
            await EndAsync(call);
            return (await call.ResponseHeadersAsync).GetValue(EtcdCallMetadata.ServedBy)!;
        }

        private static async Task<StatusCode> EndAsync(AsyncServerStreamingCall<HelloReply> call)
        {
            try
            {
                while (await call.ResponseStream.MoveNext(CancellationToken.None))
                {
                    // On to the end.
                }

                return StatusCode.OK;
            }
            catch (RpcException e)
            {
                return e.StatusCode;
            }
        }

        private AsyncServerStreamingCall<HelloReply> Start(Metadata metadata, string method, CancellationToken token)
            => invoker.AsyncServerStreamingCall(
                new Method<HelloRequest, HelloReply>(Watch.Type, Watch.ServiceName, method, Watch.RequestMarshaller, Watch.ResponseMarshaller),
                null,
                new CallOptions(metadata, cancellationToken: token),
                new HelloRequest());
    }
}
