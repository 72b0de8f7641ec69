using System.Net;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discovery.FieldTests;

/// <summary>Uploads whose source fails: a file, a caller who goes away, another service.</summary>
public sealed class RequestBodiesTests
{
    public enum Source
    {
        Breaks,
        Ends,
        IsDisposed,
        CannotBeConnectedTo,
    }

    [Theory]
    [InlineData(1, Source.Breaks)]
    [InlineData(1, Source.Ends)]
    [InlineData(1, Source.IsDisposed)]
    [InlineData(1, Source.CannotBeConnectedTo)]
    [InlineData(2, Source.Breaks)]
    [InlineData(2, Source.IsDisposed)]
    [InlineData(2, Source.CannotBeConnectedTo)]
    public async Task A_body_that_cannot_be_read_at_its_source_ejects_nobody(int version, Source source)
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 2; i++)
        {
            await StartAsync(field, version);
        }

        using var client = field.Client(static o => o.Policy = "RoundRobin");
        for (var i = 0; i < 20; i++)
        {
            using var request = Post(version, new FailingContent(source));
            await Assert.ThrowsAnyAsync<Exception>(() => client.SendAsync(request));
        }

        var answers = new List<string>();
        for (var i = 0; i < 10; i++)
        {
            using var request = Post(version, new ByteArrayContent([]));
            using var response = await client.SendAsync(request);
            answers.Add(response.GetServedBy()!.Address);
        }

        Assert.Equal([5, 5], answers.CountBy(static a => a).Select(static a => a.Value));
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("ejected", StringComparison.Ordinal));
    }

    /// <summary>Over HTTP/2 a server may answer while it still reads: an echo, a proxy, a stream in both directions.</summary>
    [Theory]
    [InlineData(Source.Breaks)]
    [InlineData(Source.IsDisposed)]
    [InlineData(Source.CannotBeConnectedTo)]
    public async Task A_body_that_cannot_be_read_at_its_source_ejects_nobody_when_the_answer_has_begun(Source source)
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 2; i++)
        {
            await field.StartServerAsync(
                static async c =>
                {
                    await c.Response.Body.FlushAsync();
                    await c.Request.Body.CopyToAsync(c.Response.Body, c.RequestAborted);
                },
                HttpProtocols.Http2);
        }

        using var client = field.Client(static o => o.Policy = "RoundRobin");
        for (var i = 0; i < 20; i++)
        {
            var hasBegun = new TaskCompletionSource();
            using var request = Post(version: 2, new FailingContent(source, hasBegun.Task));
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            hasBegun.SetResult();
            await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsByteArrayAsync());
        }

        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("failing", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task An_instance_that_breaks_off_while_it_is_sent_a_body_is_ejected(int version)
    {
        await using var field = await Field.StartAsync();
        var breaks = await field.StartServerAsync(
            static c =>
            {
                c.Abort();
                return Task.CompletedTask;
            },
            version == 1 ? HttpProtocols.Http1 : HttpProtocols.Http2);
        await StartAsync(field, version);
        using var client = field.Client(static o => o.Policy = "RoundRobin");
        var failed = 0;
        for (var i = 0; i < 60; i++)
        {
            using var request = Post(version, new ByteArrayContent(new byte[1_000_000]));
            try
            {
                using var response = await client.SendAsync(request);
            }
            catch (HttpRequestException)
            {
                failed++;
            }
        }

        Assert.InRange(failed, 1, 12);
        Assert.True(breaks.Requests <= 12);
    }

    private static Task<BackendServer> StartAsync(Field field, int version)
        => field.StartServerAsync(
            static async c =>
            {
                await c.Request.Body.CopyToAsync(Stream.Null, c.RequestAborted);
                await c.Response.WriteAsync("hello");
            },
            version == 1 ? HttpProtocols.Http1 : HttpProtocols.Http2);

    private static HttpRequestMessage Post(int version, HttpContent content) => new(HttpMethod.Post, "x")
    {
        Content = content,
        Version = version == 1 ? HttpVersion.Version11 : HttpVersion.Version20,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    /// <summary>Sends a part, and has no more.</summary>
    private sealed class FailingContent(Source source, Task? until = null) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(new byte[50]);
            await stream.FlushAsync();
            await (until ?? Task.CompletedTask);
            throw source switch
            {
                Source.Breaks => new IOException("The disk is gone."),
                Source.Ends => new Microsoft.AspNetCore.Http.BadHttpRequestException("Unexpected end of request content."),
                Source.IsDisposed => new ObjectDisposedException("upload"),
                _ => new HttpRequestException(HttpRequestError.ConnectionError, "The source refused."),
            };
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 100;
            return true;
        }
    }
}
