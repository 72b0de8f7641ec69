using Grpc.Core;
using Grpc.Subset.Tests.Interop;
using Microsoft.AspNetCore.Builder;

namespace Grpc.Subset.Tests;

public sealed class UnaryCallTests
{
    [Fact]
    public async Task A_call_gets_its_answer_status_and_trailers()
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client.EchoAsync(new Message { Text = "hello" });

        var answer = await call;

        Assert.Equal("hello", answer.Text);
        Assert.Equal(new Status(StatusCode.OK, ""), call.GetStatus());
        Assert.Empty(call.GetTrailers());
        Assert.DoesNotContain(await call.ResponseHeadersAsync, entry => entry.Key is "content-type" or "grpc-status");
    }

    [Fact]
    public async Task A_blocking_call_gets_the_same_answer()
    {
        await using var server = await TestServer.StartAsync();

        Assert.Equal("hello", server.Client.Echo(new Message { Text = "hello" }).Text);
    }

    [Fact]
    public async Task An_empty_message_is_a_message()
    {
        await using var server = await TestServer.StartAsync();

        Assert.Equal(new Message(), await server.Client.EchoAsync(new Message()));
    }

    [Fact]
    public async Task A_message_of_a_megabyte_arrives_whole()
    {
        await using var server = await TestServer.StartAsync();
        var payload = new byte[1_000_000];
        Random.Shared.NextBytes(payload);
        var message = new Message { Payload = Google.Protobuf.ByteString.CopyFrom(payload) };

        Assert.Equal(message, await server.Client.EchoAsync(message));
    }

    [Fact]
    public async Task Status_and_trailers_are_unknown_before_the_call_ends()
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client.WaitAsync(new Message { Number = -1 });

        Assert.Equal(
            "Unable to get the status because the call is not complete.", Assert.Throws<InvalidOperationException>(() => call.GetStatus()).Message);
        Assert.Equal(
            "Can't get the call trailers because the call has not completed successfully.",
            Assert.Throws<InvalidOperationException>(call.GetTrailers).Message);
    }

    [Theory]
    [InlineData(StatusCode.Cancelled)]
    [InlineData(StatusCode.Unknown)]
    [InlineData(StatusCode.InvalidArgument)]
    [InlineData(StatusCode.DeadlineExceeded)]
    [InlineData(StatusCode.NotFound)]
    [InlineData(StatusCode.AlreadyExists)]
    [InlineData(StatusCode.PermissionDenied)]
    [InlineData(StatusCode.ResourceExhausted)]
    [InlineData(StatusCode.FailedPrecondition)]
    [InlineData(StatusCode.Aborted)]
    [InlineData(StatusCode.OutOfRange)]
    [InlineData(StatusCode.Unimplemented)]
    [InlineData(StatusCode.Internal)]
    [InlineData(StatusCode.Unavailable)]
    [InlineData(StatusCode.DataLoss)]
    [InlineData(StatusCode.Unauthenticated)]
    public async Task An_error_arrives_with_code_detail_and_trailers(StatusCode code)
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client.FailAsync(new Message { Number = (int)code, Text = "why" });

        var exception = await Failure.OfAsync(() => call.ResponseAsync);

        Assert.Equal(code, exception.StatusCode);
        Assert.Equal(new Status(code, "why"), exception.Status);
        Assert.Equal($"Status(StatusCode=\"{code}\", Detail=\"why\")", exception.Message);
        Assert.Equal("asked", exception.Trailers.GetValue("reason"));
        Assert.Equal("asked", call.GetTrailers().GetValue("reason"));
        Assert.Equal(code, call.GetStatus().StatusCode);
    }

    [Theory]
    [InlineData("escaped already: %25 %zz")]
    [InlineData("percent % and\nnew line\t")]
    [InlineData("größer als 100 %")]
    [InlineData("日本語 🙂")]
    [InlineData("~ \u007f ~")]
    public async Task The_detail_of_an_error_may_hold_any_text(string detail)
    {
        await using var server = await TestServer.StartAsync();

        var exception = await Failure.OfAsync(
            () => server.Client.FailAsync(new Message { Number = 9, Text = detail }).ResponseAsync);

        Assert.Equal(detail, exception.Status.Detail);
    }

    [Theory]
    [InlineData(false, "Exception was thrown by handler.")]
    [InlineData(true, "Exception was thrown by handler. InvalidOperationException: outer ArgumentException: inner")]
    public async Task An_exception_in_a_handler_is_unknown_and_its_text_stays_secret_unless_asked_for(bool detailed, string detail)
    {
        await using var server = await TestServer.StartAsync(
            options => options.EnableDetailedErrors = detailed, app => app.MapGrpcService<BrokenService>());

        var exception = await Failure.OfAsync(() => server.Client.EchoAsync(new Message()).ResponseAsync);

        Assert.Equal(new Status(StatusCode.Unknown, detail), exception.Status);
    }

    [Fact]
    public async Task A_handler_that_returns_null_cancels_the_call()
    {
        await using var server = await TestServer.StartAsync(map: app => app.MapGrpcService<BrokenService>());

        var exception = await Failure.OfAsync(() => server.Client.LargeAsync(new Message()).ResponseAsync);

        Assert.Equal(new Status(StatusCode.Cancelled, "No message returned from method."), exception.Status);
    }

    [Fact]
    public async Task A_handler_may_set_the_status_without_throwing()
    {
        await using var server = await TestServer.StartAsync(map: app => app.MapGrpcService<BrokenService>());
        using var call = server.Client.EchoMetadataAsync(new Message());

        var exception = await Failure.OfAsync(() => call.ResponseAsync);

        Assert.Equal(new Status(StatusCode.DataLoss, "half of it"), exception.Status);
        Assert.Equal("yes", exception.Trailers.GetValue("sorry"));
    }

    private sealed class BrokenService : Interop.Interop.InteropBase
    {
        public override Task<Message> Echo(Message request, ServerCallContext context)
            => throw new InvalidOperationException("outer", new ArgumentException("inner"));

        public override Task<Message> Large(Message request, ServerCallContext context) => Task.FromResult<Message>(null!);

        public override Task<Message> EchoMetadata(Message request, ServerCallContext context)
        {
            context.Status = new Status(StatusCode.DataLoss, "half of it");
            context.ResponseTrailers.Add("sorry", "yes");
            return Task.FromResult(new Message());
        }
    }
}
