using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Subset.Tests.Interop;

namespace Grpc.Subset.Tests;

public sealed class DeadlineTests
{
    private static DateTime In(double seconds) => DateTime.UtcNow.AddSeconds(seconds);

    [Fact]
    public async Task A_call_that_takes_too_long_ends_on_both_sides()
    {
        await using var server = await TestServer.StartAsync();

        // On a busy machine a deadline may pass before the server hears of the call; then the next one gets more time.
        for (var seconds = 0.3; !server.Observer.Called && seconds < 60; seconds *= 2)
        {
            using var call = server.Client.WaitAsync(new Message { Number = -1 }, deadline: In(seconds));

            var exception = await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync.WaitAsync(TimeSpan.FromSeconds(seconds) + Failure.Limit));

            Assert.Equal(StatusCode.DeadlineExceeded, exception.StatusCode);
            Assert.Equal(StatusCode.DeadlineExceeded, call.GetStatus().StatusCode);
        }

        await server.Observer.HandlerEndedAsync();
        Assert.True(server.Observer.Cancelled);
    }

    [Fact]
    public async Task A_stream_that_lasts_too_long_ends_on_both_sides()
    {
        await using var server = await TestServer.StartAsync();
        var begun = false;
        for (var seconds = 1; !begun && seconds < 60; seconds *= 2)
        {
            using var call = server.Client.WaitStream(new Message(), deadline: In(seconds));
            var exception = await Assert.ThrowsAsync<RpcException>(async () =>
            {
                begun = await call.ResponseStream.MoveNext();
                await call.ResponseStream.MoveNext().WaitAsync(TimeSpan.FromSeconds(seconds) + Failure.Limit);
            });

            Assert.Equal(StatusCode.DeadlineExceeded, exception.StatusCode);
        }

        Assert.True(begun);
        await server.Observer.HandlerEndedAsync();
        Assert.True(server.Observer.Cancelled);
    }

    [Fact]
    public async Task A_call_that_is_quick_enough_succeeds_and_the_server_knew_the_deadline()
    {
        await using var server = await TestServer.StartAsync();
        var deadline = In(30);

        Assert.Equal("waited", (await server.Client.WaitAsync(new Message { Number = 1 }, deadline: deadline)).Text);

        Assert.InRange(server.Observer.Deadline, deadline.AddSeconds(-1), deadline.AddSeconds(10));
        Assert.Equal(DateTimeKind.Utc, server.Observer.Deadline.Kind);
    }

    [Fact]
    public async Task A_deadline_in_the_past_fails_without_a_call()
    {
        await using var server = await TestServer.StartAsync();

        var exception = await Failure.OfAsync(() => server.Client.EchoAsync(new Message(), deadline: In(-1)).ResponseAsync);

        Assert.Equal(new Status(StatusCode.DeadlineExceeded, ""), exception.Status);
        Assert.False(server.Observer.Called);
    }

    [Fact]
    public async Task A_deadline_that_is_not_in_utc_is_refused()
    {
        await using var server = await TestServer.StartAsync();
        var local = DateTime.SpecifyKind(DateTime.Now, DateTimeKind.Local);

        var exception = Assert.Throws<InvalidOperationException>(() => { _ = server.Client.EchoAsync(new Message(), deadline: local); });

        Assert.Equal("Deadline must have a kind DateTimeKind.Utc or be equal to DateTime.MaxValue or DateTime.MinValue.", exception.Message);
    }

    [Fact]
    public async Task A_deadline_may_be_years_away()
    {
        await using var server = await TestServer.StartAsync();

        Assert.Equal("a", (await server.Client.EchoAsync(new Message { Text = "a" }, deadline: DateTime.UtcNow.AddYears(100))).Text);
        Assert.Equal("b", (await server.Client.EchoAsync(new Message { Text = "b" }, deadline: DateTime.MaxValue)).Text);
    }

    [Fact]
    public async Task The_first_of_deadline_and_cancellation_decides()
    {
        await using var server = await TestServer.StartAsync();
        using var cancellation = new CancellationTokenSource();
        using var call = server.Client.WaitAsync(new Message { Number = -1 }, deadline: In(60), cancellationToken: cancellation.Token);

        await cancellation.CancelAsync();

        Assert.Equal(StatusCode.Cancelled, (await Failure.OfAsync(() => call.ResponseAsync)).StatusCode);
    }

    [Fact]
    public async Task With_the_option_a_passed_deadline_is_a_cancelled_operation()
    {
        await using var server = await TestServer.StartAsync();
        var client = server.CreateClient(options => options.ThrowOperationCanceledOnCancellation = true);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => client.WaitAsync(new Message { Number = -1 }, deadline: In(0.3)).ResponseAsync);
    }

    [Fact]
    public async Task With_the_option_a_deadline_that_the_server_reports_is_a_cancelled_operation_too()
    {
        await using var server = await TestServer.StartAsync();
        var client = server.CreateClient(options => options.ThrowOperationCanceledOnCancellation = true);

        await Assert.ThrowsAsync<TaskCanceledException>(
            () => client.FailAsync(new Message { Number = (int)StatusCode.DeadlineExceeded }).ResponseAsync);
        Assert.Equal(
            StatusCode.Cancelled, (await Failure.OfAsync(() => client.FailAsync(new Message { Number = (int)StatusCode.Cancelled }).ResponseAsync)).StatusCode);
    }

    [Fact]
    public async Task A_stream_that_is_reset_at_its_deadline_is_late_and_not_cancelled()
    {
        // The client's timer may be first, and then says so by itself; one call where the reset is first is enough.
        await Eventually.IsTrue(async () =>
        {
            var deadline = In(0.05);
            using var handler = new StubHandler(() =>
            {
                SpinWait.SpinUntil(() => DateTime.UtcNow >= deadline);
                throw new HttpProtocolException(0x8, "cancelled", null);
            });
            using var channel = GrpcChannel.ForAddress("http://stub", new GrpcChannelOptions { HttpHandler = handler });
            var client = new Interop.Interop.InteropClient(channel);
            var exception = await Failure.OfAsync(() => client.EchoAsync(new Message(), deadline: deadline).ResponseAsync);
            return exception.StatusCode == StatusCode.DeadlineExceeded && exception.Status.Detail.Length > 0;
        });
    }
}
