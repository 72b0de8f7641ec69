using Grpc.Core;
using Grpc.Subset.Tests.Interop;

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
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
        Assert.Equal("", call.GetStatus().Detail);
        Assert.Empty(call.GetTrailers());
        Assert.DoesNotContain(await call.ResponseHeadersAsync, entry => entry.Key is "content-type" or "grpc-status");
    }
}
