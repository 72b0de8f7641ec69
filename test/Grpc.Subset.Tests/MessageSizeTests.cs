using Google.Protobuf;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Subset.Tests.Interop;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Grpc.Subset.Tests;

public sealed class MessageSizeTests
{
    private const int FourMegabytes = 4 * 1024 * 1024;

    private static readonly Status ReceivedTooLarge
        = new(StatusCode.ResourceExhausted, "Received message exceeds the maximum configured message size.");

    private static readonly Status SentTooLarge
        = new(StatusCode.ResourceExhausted, "Sending message exceeds the maximum configured message size.");

    [Fact]
    public void The_limit_of_a_server_is_set_where_nobody_set_one()
    {
        Assert.Null(new GrpcServiceOptions().MaxReceiveMessageSize);
        Assert.Equal(FourMegabytes, Configured(_ => { }).MaxReceiveMessageSize);
        Assert.Equal(5, Configured(options => options.MaxReceiveMessageSize = 5).MaxReceiveMessageSize);
        Assert.Null(Configured(options => options.MaxReceiveMessageSize = null).MaxReceiveMessageSize);

        static GrpcServiceOptions Configured(Action<GrpcServiceOptions> configure)
        {
            var services = new ServiceCollection();
            services.AddGrpc(configure);
            using var provider = services.BuildServiceProvider();
            return provider.GetRequiredService<IOptions<GrpcServiceOptions>>().Value;
        }
    }

    [Fact]
    public async Task A_client_takes_four_megabytes_unless_told_otherwise()
    {
        await using var server = await TestServer.StartAsync();

        Assert.Equal(4_000_000, (await server.Client.LargeAsync(new Message { Number = 4_000_000 })).Payload.Length);
        var exception = await Failure.OfAsync(
            () => server.Client.LargeAsync(new Message { Number = FourMegabytes + 1 }).ResponseAsync);
        Assert.Equal(ReceivedTooLarge, exception.Status);

        var unlimited = server.CreateClient(options => options.MaxReceiveMessageSize = null);
        Assert.Equal(FourMegabytes + 1, (await unlimited.LargeAsync(new Message { Number = FourMegabytes + 1 })).Payload.Length);
    }

    [Fact]
    public async Task A_server_takes_four_megabytes_unless_told_otherwise()
    {
        var large = new Message { Payload = ByteString.CopyFrom(new byte[FourMegabytes]) };
        await using var server = await TestServer.StartAsync();
        await using var unlimited = await TestServer.StartAsync(options => options.MaxReceiveMessageSize = null);

        var exception = await Failure.OfAsync(() => server.Client.EchoAsync(large).ResponseAsync);

        Assert.Equal(ReceivedTooLarge, exception.Status);
        var client = unlimited.CreateClient(options => options.MaxReceiveMessageSize = null);
        Assert.Equal(large, await client.EchoAsync(large));
    }

    [Fact]
    public async Task A_client_does_not_send_more_than_its_limit()
    {
        await using var server = await TestServer.StartAsync();
        var client = server.CreateClient(options => options.MaxSendMessageSize = 10);
        var large = new Message { Text = "more than ten" };

        var unary = await Failure.OfAsync(() => client.EchoAsync(large).ResponseAsync);
        using var stream = client.Chat();
        var write = await Failure.OfAsync(() => stream.RequestStream.WriteAsync(large));

        Assert.Equal(SentTooLarge, unary.Status);
        Assert.Equal(SentTooLarge, write.Status);
        Assert.Equal("ten", (await client.EchoAsync(new Message { Text = "ten" })).Text);
    }

    [Fact]
    public async Task A_server_does_not_send_more_than_its_limit()
    {
        await using var server = await TestServer.StartAsync(options => options.MaxSendMessageSize = 10);

        var exception = await Failure.OfAsync(() => server.Client.LargeAsync(new Message { Number = 11 }).ResponseAsync);

        Assert.Equal(SentTooLarge, exception.Status);
    }

    [Fact]
    public async Task A_stream_ends_at_a_message_that_is_too_large()
    {
        await using var server = await TestServer.StartAsync();
        var client = server.CreateClient(options => options.MaxReceiveMessageSize = 3);
        using var call = client.Count(new Message { Number = 5 });
        Assert.True(await call.ResponseStream.MoveNext());

        var exception = await Failure.OfAsync(() => call.ResponseStream.MoveNext());

        Assert.Equal(ReceivedTooLarge, exception.Status);
    }
}
