using Google.Protobuf;
using Grpc.Core;
using Peers.V1;

namespace Discovery.IntegrationTests.Interop;

/// <summary>Our client calls a server of Node.js.</summary>
public sealed class NodeServerTests(NodeServer server) : IClassFixture<NodeServer>
{
    private static DateTime In(double seconds) => TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(seconds);

    [Fact]
    public async Task A_unary_call_gets_its_answer()
    {
        var message = new Message { Text = "hello", Number = -7, Payload = ByteString.CopyFrom(0, 255) };

        Assert.Equal(message, await server.Client.EchoAsync(message));
        Assert.Equal(new Message(), await server.Client.EchoAsync(new Message()));
    }

    [Fact]
    public async Task A_server_stream_is_read_to_its_end_and_then_gives_trailers()
    {
        using var call = server.Client.Count(new Message { Number = 200 });

        var numbers = await call.ResponseStream.ReadAllAsync().Select(message => message.Number).ToListAsync();

        Assert.Equal(Enumerable.Range(0, 200), numbers);
        Assert.Equal("200", call.GetTrailers().GetValue("count"));
    }

    [Fact]
    public async Task A_server_stream_without_messages_is_a_success()
    {
        using var call = server.Client.Count(new Message());

        Assert.False(await call.ResponseStream.MoveNext());
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task A_client_stream_gets_one_answer_for_all_its_messages()
    {
        using var call = server.Client.Collect();
        foreach (var text in (string[])["a", "b", "c"])
        {
            await call.RequestStream.WriteAsync(new Message { Text = text });
        }

        await call.RequestStream.CompleteAsync();

        Assert.Equal(new Message { Text = "abc", Number = 3 }, await call);
    }

    [Fact]
    public async Task A_duplex_stream_answers_each_message_at_once()
    {
        using var call = server.Client.Chat();
        for (var i = 0; i < 50; i++)
        {
            await call.RequestStream.WriteAsync(new Message { Number = i });
            Assert.True(await call.ResponseStream.MoveNext());
            Assert.Equal(i, call.ResponseStream.Current.Number);
        }

        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext());
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Theory]
    [InlineData(StatusCode.InvalidArgument)]
    [InlineData(StatusCode.NotFound)]
    [InlineData(StatusCode.FailedPrecondition)]
    [InlineData(StatusCode.Unauthenticated)]
    public async Task An_error_arrives_with_code_detail_and_trailers(StatusCode code)
    {
        const string Detail = "größer als 100 %\n日本 🙂";

        var exception = await Failure.OfAsync(
            () => server.Client.FailAsync(new Message { Number = (int)code, Text = Detail }).ResponseAsync);

        Assert.Equal((code, Detail), (exception.StatusCode, exception.Status.Detail));
        Assert.Equal("asked", exception.Trailers.GetValue("reason"));
    }

    [Fact]
    public async Task An_error_after_messages_comes_with_the_read_that_meets_it()
    {
        using var call = server.Client.FailLate(new Message { Number = 2, Text = "late" });
        Assert.True(await call.ResponseStream.MoveNext());
        Assert.True(await call.ResponseStream.MoveNext());

        var exception = await Failure.OfAsync(() => call.ResponseStream.MoveNext());

        Assert.Equal((StatusCode.Aborted, "late"), (exception.StatusCode, exception.Status.Detail));
        Assert.Equal("asked", exception.Trailers.GetValue("reason"));
    }

    [Fact]
    public async Task Metadata_goes_to_the_server_and_comes_back_as_headers_and_trailers()
    {
        byte[] bytes = [0, 1, 254, 255, 65];
        using var call = server.Client.EchoMetadataAsync(
            new Message(), new Metadata { { "echo-text", "some text, with a comma" }, { "echo-bytes-bin", bytes } });

        var headers = await call.ResponseHeadersAsync;
        await call;

        Assert.Equal("some text, with a comma", headers.GetValue("echo-text"));
        Assert.Equal(bytes, headers.GetValueBytes("echo-bytes-bin"));
        Assert.Equal("some text, with a comma", call.GetTrailers().GetValue("trailer-echo-text"));
        Assert.Equal(bytes, call.GetTrailers().GetValueBytes("trailer-echo-bytes-bin"));
    }

    [Fact]
    public async Task A_deadline_ends_a_call_on_both_sides()
    {
        // The first makes the connection, so that the second reaches the server before its deadline, busy as the machine may be.
        Assert.Equal("waited", (await server.Client.WaitAsync(new Message { Number = 10 }, deadline: In(30))).Text);

        var exception = await Failure.OfAsync(
            () => server.Client.WaitAsync(new Message { Number = -1 }, deadline: In(2)).ResponseAsync);

        Assert.Equal(StatusCode.DeadlineExceeded, exception.StatusCode);
        await server.CancelledAsync("Wait");
    }

    [Fact]
    public async Task A_cancelled_stream_ends_on_both_sides()
    {
        using var cancellation = new CancellationTokenSource();
        using var call = server.Client.WaitStream(new Message(), cancellationToken: cancellation.Token);
        Assert.True(await call.ResponseStream.MoveNext());

        await cancellation.CancelAsync();

        Assert.Equal(StatusCode.Cancelled, (await Failure.OfAsync(() => call.ResponseStream.MoveNext())).StatusCode);
        await server.CancelledAsync("WaitStream");
    }

    [Fact]
    public async Task A_disposed_duplex_call_ends_on_both_sides()
    {
        using (var call = server.Client.Chat())
        {
            await call.RequestStream.WriteAsync(new Message());
            Assert.True(await call.ResponseStream.MoveNext());
        }

        await server.CancelledAsync("Chat");
    }

    [Fact]
    public async Task A_method_that_is_not_implemented_says_so()
    {
        var exception = await Failure.OfAsync(() => server.Client.MissingAsync(new Message()).ResponseAsync);

        Assert.Equal(StatusCode.Unimplemented, exception.StatusCode);
    }

    [Fact]
    public async Task Large_messages_arrive_up_to_the_limit_of_each_side()
    {
        var answer = await server.Client.LargeAsync(new Message { Number = 4_000_000 });
        var received = await Failure.OfAsync(() => server.Client.LargeAsync(new Message { Number = 5_000_000 }).ResponseAsync);
        var sent = await Failure.OfAsync(
            () => server.Client.EchoAsync(new Message { Payload = ByteString.CopyFrom(new byte[5_000_000]) }).ResponseAsync);

        Assert.Equal(4_000_000, answer.Payload.Length);
        Assert.Equal(StatusCode.ResourceExhausted, received.StatusCode);
        Assert.Equal(StatusCode.ResourceExhausted, sent.StatusCode);
    }

    [Fact]
    public async Task Many_calls_run_at_once()
    {
        var calls = Enumerable.Range(0, 300).Select(number => server.Client.EchoAsync(new Message { Number = number }).ResponseAsync);

        Assert.Equal(Enumerable.Range(0, 300), (await Task.WhenAll(calls)).Select(answer => answer.Number));
    }
}
