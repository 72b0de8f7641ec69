using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discovery.AspNetCore.Tests.Calls;

/// <summary>What stands around a response's body behaves as the body does without it.</summary>
public sealed class BodyTests
{
    [Theory]
    [InlineData("stream")]
    [InlineData("response")]
    [InlineData("stream response stream")]
    [InlineData("response stream response")]
    public async Task A_body_may_be_disposed_in_any_order(string order)
    {
        foreach (var (version, protocols) in new[] { (HttpVersion.Version11, HttpProtocols.Http1), (HttpVersion.Version20, HttpProtocols.Http2) })
        {
            await using var harness = new Harness();
            await harness.StartServerAsync(static c => c.Response.WriteAsync("hello"), protocols);
            using var client = harness.Client(version);
            var response = await client.GetAsync("x", HttpCompletionOption.ResponseHeadersRead);
            var stream = await response.Content.ReadAsStreamAsync();
            var instance = Assert.Single(harness.Pool.Current!.Instances);
            Assert.Equal(1, instance.InFlight);

            foreach (var what in order.Split(' '))
            {
                ((IDisposable)(what == "stream" ? stream : response)).Dispose();
            }

            Assert.Equal(0, instance.InFlight);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_length_may_be_asked_for_when_the_stream_was_read_and_disposed(bool isGrpc)
    {
        await using var harness = new Harness();
        await harness.StartServerAsync(
            c =>
            {
                c.Response.ContentType = isGrpc ? "application/grpc" : "text/plain";
                return c.Response.WriteAsync("hello");
            },
            HttpProtocols.Http2);
        using var client = harness.Client(HttpVersion.Version20);
        using var response = await client.GetAsync("x", HttpCompletionOption.ResponseHeadersRead);

        using (var reader = new StreamReader(await response.Content.ReadAsStreamAsync()))
        {
            Assert.Equal("hello", await reader.ReadToEndAsync());
        }

        Assert.Null(response.Content.Headers.ContentLength);
    }

    [Fact]
    public async Task A_stream_whose_response_is_disposed_is_not_to_be_read()
    {
        await using var harness = new Harness();
        await harness.StartServerAsync(static c => c.Response.WriteAsync("hello"), HttpProtocols.Http2);
        using var client = harness.Client(HttpVersion.Version20);
        var response = await client.GetAsync("x", HttpCompletionOption.ResponseHeadersRead);
        var stream = await response.Content.ReadAsStreamAsync();
        Assert.True(stream.CanRead);

        response.Dispose();

        Assert.False(stream.CanRead);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => stream.ReadAsync(new byte[1]).AsTask());
        Assert.Equal(0, Assert.Single(harness.Pool.Current!.Instances).InFlight);
    }

    [Fact]
    public async Task A_read_that_waits_while_the_response_is_disposed_ends()
    {
        await using var harness = new Harness();
        var release = new TaskCompletionSource();
        await harness.StartServerAsync(
            async c =>
            {
                await c.Response.Body.FlushAsync();
                await release.Task;
            },
            HttpProtocols.Http2);
        using var client = harness.Client(HttpVersion.Version20);
        var response = await client.GetAsync("x", HttpCompletionOption.ResponseHeadersRead);
        var stream = await response.Content.ReadAsStreamAsync();
        var read = stream.ReadAsync(new byte[1]).AsTask();

        response.Dispose();
        release.SetResult();

        await Assert.ThrowsAnyAsync<Exception>(() => read.WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.False(read.IsCompletedSuccessfully);
        Assert.True(read.IsCompleted);
        Assert.Equal(0, Assert.Single(harness.Pool.Current!.Instances).InFlight);
    }
}
