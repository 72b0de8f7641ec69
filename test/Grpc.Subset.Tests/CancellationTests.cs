using Grpc.Core;
using Grpc.Subset.Tests.Interop;

namespace Grpc.Subset.Tests;

public sealed class CancellationTests
{
    [Fact]
    public async Task A_cancelled_call_ends_on_both_sides()
    {
        await using var server = await TestServer.StartAsync();
        using var cancellation = new CancellationTokenSource();
        using var call = server.Client.WaitAsync(new Message { Number = -1 }, cancellationToken: cancellation.Token);
        await Eventually.IsTrue(() => server.Observer.Called);

        await cancellation.CancelAsync();
        var exception = await Failure.OfAsync(() => call.ResponseAsync);

        Assert.Equal((StatusCode.Cancelled, "Call canceled by the client."), (exception.StatusCode, exception.Status.Detail));
        Assert.Equal(StatusCode.Cancelled, call.GetStatus().StatusCode);
        await server.Observer.HandlerEndedAsync();
        Assert.True(server.Observer.Cancelled);
    }

    [Fact]
    public async Task A_token_that_is_cancelled_already_keeps_the_call_from_starting()
    {
        await using var server = await TestServer.StartAsync();

        var exception = await Failure.OfAsync(
            () => server.Client.EchoAsync(new Message(), cancellationToken: new CancellationToken(canceled: true)).ResponseAsync);

        Assert.Equal((StatusCode.Cancelled, "Call canceled by the client."), (exception.StatusCode, exception.Status.Detail));
        Assert.False(server.Observer.Called);
    }

    [Fact]
    public async Task Disposing_a_call_cancels_it()
    {
        await using var server = await TestServer.StartAsync();
        var call = server.Client.WaitAsync(new Message { Number = -1 });
        await Eventually.IsTrue(() => server.Observer.Called);

        call.Dispose();
        var exception = await Failure.OfAsync(() => call.ResponseAsync);

        Assert.Equal((StatusCode.Cancelled, "gRPC call disposed."), (exception.StatusCode, exception.Status.Detail));
        await server.Observer.HandlerEndedAsync();
        Assert.True(server.Observer.Cancelled);
    }

    [Fact]
    public async Task Disposing_a_stream_wakes_its_reader_and_the_server()
    {
        await using var server = await TestServer.StartAsync();
        var call = server.Client.WaitStream(new Message());
        Assert.True(await call.ResponseStream.MoveNext());
        var read = call.ResponseStream.MoveNext();

        call.Dispose();

        Assert.Equal(StatusCode.Cancelled, (await Failure.OfAsync(() => read)).StatusCode);
        await server.Observer.HandlerEndedAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => call.ResponseStream.MoveNext());
    }

    [Fact]
    public async Task Disposing_a_duplex_call_without_completing_it_reaches_the_server()
    {
        await using var server = await TestServer.StartAsync();
        using (var call = server.Client.Chat())
        {
            await call.RequestStream.WriteAsync(new Message());
            Assert.True(await call.ResponseStream.MoveNext());
        }

        await server.Observer.HandlerEndedAsync();
        Assert.True(server.Observer.Cancelled);
    }

    [Fact]
    public async Task A_token_of_one_read_cancels_the_whole_call()
    {
        await using var server = await TestServer.StartAsync();
        using var cancellation = new CancellationTokenSource();
        using var call = server.Client.WaitStream(new Message());
        Assert.True(await call.ResponseStream.MoveNext());
        var read = call.ResponseStream.MoveNext(cancellation.Token);

        await cancellation.CancelAsync();

        Assert.Equal(StatusCode.Cancelled, (await Failure.OfAsync(() => read)).StatusCode);
        Assert.Equal(StatusCode.Cancelled, (await Failure.OfAsync(() => call.ResponseStream.MoveNext())).StatusCode);
        await server.Observer.HandlerEndedAsync();
    }

    [Fact]
    public async Task A_token_of_one_write_cancels_the_whole_call()
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client.Chat();

        var exception = await Failure.OfAsync(
            () => call.RequestStream.WriteAsync(new Message(), new CancellationToken(canceled: true)));

        Assert.Equal(StatusCode.Cancelled, exception.StatusCode);
        Assert.Equal(StatusCode.Cancelled, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task With_the_option_cancelling_throws_the_usual_exception_with_the_callers_token()
    {
        await using var server = await TestServer.StartAsync();
        using var cancellation = new CancellationTokenSource();
        var client = server.CreateClient(options => options.ThrowOperationCanceledOnCancellation = true);
        using var unary = client.WaitAsync(new Message { Number = -1 }, cancellationToken: cancellation.Token);
        using var stream = client.WaitStream(new Message(), cancellationToken: cancellation.Token);
        using var duplex = client.Chat(cancellationToken: cancellation.Token);
        Assert.True(await stream.ResponseStream.MoveNext());
        var read = stream.ResponseStream.MoveNext();

        await cancellation.CancelAsync();

        foreach (var task in (Task[])[unary.ResponseAsync, read, stream.ResponseStream.MoveNext()])
        {
            var exception = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => task);
            Assert.Equal(cancellation.Token, exception.CancellationToken);
        }

        var write = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => duplex.RequestStream.WriteAsync(new Message()));
        Assert.Equal(cancellation.Token, write.CancellationToken);
    }

    [Fact]
    public async Task A_cancellation_by_a_handler_of_requests_is_kept_inside_one_of_the_call()
    {
        var cause = new TaskCanceledException("too slow", new TimeoutException());
        using var handler = new StubHandler(() => throw cause);
        using var channel = Grpc.Net.Client.GrpcChannel.ForAddress(
            "http://stub", new Grpc.Net.Client.GrpcChannelOptions { HttpHandler = handler, ThrowOperationCanceledOnCancellation = true });

        var exception = await Assert.ThrowsAsync<OperationCanceledException>(
            () => new Interop.Interop.InteropClient(channel).EchoAsync(new Message()).ResponseAsync.WaitAsync(Failure.Limit));

        Assert.Same(cause, exception.InnerException);
        Assert.False(exception.CancellationToken.CanBeCanceled);
    }

    [Fact]
    public async Task A_disposed_channel_cancels_its_calls_and_starts_no_more()
    {
        await using var server = await TestServer.StartAsync();
        var channel = Grpc.Net.Client.GrpcChannel.ForAddress(server.Address);
        var client = new Interop.Interop.InteropClient(channel);
        using var call = client.WaitAsync(new Message { Number = -1 });

        channel.Dispose();

        Assert.Equal(StatusCode.Cancelled, (await Failure.OfAsync(() => call.ResponseAsync)).StatusCode);
        Assert.Throws<ObjectDisposedException>(() => { _ = client.EchoAsync(new Message()); });
        Assert.Throws<ObjectDisposedException>(channel.CreateCallInvoker);
    }
}
