using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Subset.Tests.Interop;

namespace Grpc.Subset.Tests;

public sealed class UnimplementedTests
{
    private static readonly Marshaller<Message> Marshaller = Marshallers.Create(
        (Message message, SerializationContext context) => context.Complete(message.ToByteArray()),
        context => Message.Parser.ParseFrom(context.PayloadAsNewBuffer()));

    [Theory]
    [InlineData("interop.v1.Interop", "Missing", "")]
    [InlineData("interop.v1.Interop", "Unheard", "Method is unimplemented.")]
    [InlineData("interop.v1.Unheard", "Echo", "Service is unimplemented.")]
    public async Task What_is_not_implemented_says_so(string service, string method, string detail)
    {
        await using var server = await TestServer.StartAsync();
        using var channel = GrpcChannel.ForAddress(server.Address);

        var exception = await Failure.OfAsync(() => Call(channel, service, method).ResponseAsync);

        Assert.Equal(new Status(StatusCode.Unimplemented, detail), exception.Status);
    }

    [Fact]
    public async Task A_marshaller_may_work_on_whole_arrays()
    {
        await using var server = await TestServer.StartAsync();
        using var channel = GrpcChannel.ForAddress(server.Address);

        Assert.Equal("array", (await Call(channel, "interop.v1.Interop", "Echo", "array")).Text);
    }

    private static AsyncUnaryCall<Message> Call(GrpcChannel channel, string service, string method, string text = "")
        => channel.CreateCallInvoker().AsyncUnaryCall(
            new Method<Message, Message>(MethodType.Unary, service, method, Marshaller, Marshaller), host: null, default, new Message { Text = text });
}
