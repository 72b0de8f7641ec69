using Microsoft.AspNetCore.Builder;
using Grpc.Core;
using Grpc.Subset.Tests.Interop;

namespace Grpc.Subset.Tests;

public sealed class StreamingCallTests
{
    [Fact]
    public async Task A_server_stream_is_read_to_its_end_and_then_gives_trailers()
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client.Count(new Message { Number = 3 });

        Assert.Throws<InvalidOperationException>(call.GetTrailers);
        var texts = new List<string>();
        await foreach (var message in call.ResponseStream.ReadAllAsync())
        {
            texts.Add(message.Text);
        }

        Assert.Equal(["0", "1", "2"], texts);
        Assert.Equal("3", call.GetTrailers().GetValue("count"));
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
        Assert.False(await call.ResponseStream.MoveNext());
    }

    [Fact]
    public async Task A_server_stream_without_messages_is_a_success()
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client.Count(new Message());

        Assert.False(await call.ResponseStream.MoveNext());

        Assert.Equal("0", call.GetTrailers().GetValue("count"));
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task A_client_stream_gets_one_answer_for_all_its_messages()
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client.Collect();

        foreach (var text in (string[])["a", "b", "c"])
        {
            await call.RequestStream.WriteAsync(new Message { Text = text });
        }

        await call.RequestStream.CompleteAsync();
        var answer = await call;

        Assert.Equal(("abc", 3), (answer.Text, answer.Number));
    }

    [Fact]
    public async Task Both_streams_of_a_duplex_call_run_at_the_same_time()
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client.Chat();

        for (var i = 0; i < 100; i++)
        {
            await call.RequestStream.WriteAsync(new Message { Number = i });
            Assert.True(await call.ResponseStream.MoveNext());
            Assert.Equal(i, call.ResponseStream.Current.Number);
        }

        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext());
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task An_error_after_messages_comes_with_the_read_that_meets_it()
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client.FailLate(new Message { Number = 2, Text = "late" });

        Assert.True(await call.ResponseStream.MoveNext());
        Assert.True(await call.ResponseStream.MoveNext());
        var exception = await Failure.OfAsync(() => call.ResponseStream.MoveNext());

        Assert.Equal(new Status(StatusCode.Aborted, "late"), exception.Status);
        Assert.Equal("asked", exception.Trailers.GetValue("reason"));
        Assert.Equal("asked", call.GetTrailers().GetValue("reason"));
        Assert.Equal(StatusCode.Aborted, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task An_error_before_any_message_comes_with_the_first_read()
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client.FailLate(new Message { Text = "at once" });

        var exception = await Failure.OfAsync(() => call.ResponseStream.MoveNext());

        Assert.Equal(new Status(StatusCode.Aborted, "at once"), exception.Status);
        Assert.Equal("asked", exception.Trailers.GetValue("reason"));
    }

    [Fact]
    public async Task A_second_read_or_write_at_the_same_time_is_refused()
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client.Chat();
        var first = call.ResponseStream.MoveNext();

        var read = await Assert.ThrowsAsync<InvalidOperationException>(() => call.ResponseStream.MoveNext());
        Assert.Equal("Can't read the next message because the previous read is still in progress.", read.Message);

        await call.RequestStream.CompleteAsync();
        Assert.False(await first);
        var write = await Assert.ThrowsAsync<InvalidOperationException>(() => call.RequestStream.WriteAsync(new Message()));
        Assert.Equal("Request stream has already been completed.", write.Message);
    }

    [Fact]
    public async Task Writing_after_the_server_has_ended_the_call_throws_its_status()
    {
        await using var server = await TestServer.StartAsync(map: app => app.MapGrpcService<RefusingService>());
        using var call = server.Client.Chat();
        await Failure.OfAsync(() => call.ResponseStream.MoveNext());

        var exception = await Failure.OfAsync(() => call.RequestStream.WriteAsync(new Message()));

        Assert.Equal(new Status(StatusCode.FailedPrecondition, "not now"), exception.Status);
    }

    [Fact]
    public async Task A_call_reaches_the_server_before_its_first_message()
    {
        await using var server = await TestServer.StartAsync(map: app => app.MapGrpcService<RefusingService>());

        // The first call makes the connection, which flushes whatever there is; the others show that they flush themselves.
        for (var i = 0; i < 5; i++)
        {
            using var call = server.Client.Chat();
            await Failure.OfAsync(() => call.ResponseStream.MoveNext());
        }
    }

    private sealed class RefusingService : Interop.Interop.InteropBase
    {
        public override Task Chat(
            IAsyncStreamReader<Message> requestStream, IServerStreamWriter<Message> responseStream, ServerCallContext context)
            => throw new RpcException(new Status(StatusCode.FailedPrecondition, "not now"));
    }
}
