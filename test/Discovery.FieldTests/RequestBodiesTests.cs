using System.Net;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

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
        TimesOut,
        IsConsumed,
        Refuses,
        EndsEarly,
        EndsLate,
    }

    [Theory]
    [InlineData(1, Source.Breaks)]
    [InlineData(1, Source.Ends)]
    [InlineData(1, Source.IsDisposed)]
    [InlineData(1, Source.CannotBeConnectedTo)]
    [InlineData(2, Source.Breaks)]
    [InlineData(2, Source.IsDisposed)]
    [InlineData(2, Source.CannotBeConnectedTo)]
    [InlineData(1, Source.TimesOut)]
    [InlineData(2, Source.TimesOut)]
    [InlineData(1, Source.IsConsumed)]
    [InlineData(2, Source.IsConsumed)]
    [InlineData(1, Source.Refuses)]
    [InlineData(2, Source.Refuses)]
    [InlineData(1, Source.EndsEarly)]
    [InlineData(2, Source.EndsEarly)]
    [InlineData(1, Source.EndsLate)]
    [InlineData(2, Source.EndsLate)]
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
        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("failing", StringComparison.Ordinal));
    }

    /// <summary>The second attempt has nothing to send, which is no fault of the instance that it goes to.</summary>
    [Fact]
    public async Task A_stream_that_a_retry_sends_once_more_ejects_no_instance_but_the_one_that_failed()
    {
        await using var field = await Field.StartAsync();
        var broken = await field.StartServerAsync(static c =>
        {
            c.Response.StatusCode = 503;
            return Task.CompletedTask;
        });
        var works = await StartAsync(field, version: 1);
        using var client = field.Client(static o => o.Policy = "RoundRobin", static b => b.AddHttpMessageHandler(static () => new Again()));
        for (var i = 0; i < 30; i++)
        {
            using var request = Post(version: 1, new StreamContent(new OnceStream()));
            try
            {
                using var response = await client.SendAsync(request);
            }
            catch (HttpRequestException)
            {
                // The stream was consumed.
            }
        }

        Assert.DoesNotContain(field.Log.Lines, l => l.Contains("failing", StringComparison.Ordinal) && l.Contains(works.Address, StringComparison.Ordinal));
        Assert.Contains(field.Log.Lines, l => l.Contains("ejected", StringComparison.Ordinal) && l.Contains(broken.Address, StringComparison.Ordinal));
    }

    /// <summary>Over HTTP/2 a server may answer while it still reads: an echo, a proxy, a stream in both directions.</summary>
    [Theory]
    [InlineData(Source.Breaks)]
    [InlineData(Source.IsDisposed)]
    [InlineData(Source.CannotBeConnectedTo)]
    [InlineData(Source.TimesOut)]
    [InlineData(Source.IsConsumed)]
    [InlineData(Source.Refuses)]
    [InlineData(Source.EndsEarly)]
    [InlineData(Source.EndsLate)]
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

    /// <summary>Kestrel answers 413 and closes the connection, on which .NET still writes and never reads that answer.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_body_that_is_larger_than_servers_take_ejects_nobody(int version)
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 2; i++)
        {
            await field.StartServerAsync(
                static async c =>
                {
                    c.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = 100_000;
                    await c.Request.Body.CopyToAsync(Stream.Null, c.RequestAborted);
                },
                version == 1 ? HttpProtocols.Http1 : HttpProtocols.Http2);
        }

        using var client = field.Client(static o => o.Policy = "RoundRobin");
        var body = new byte[40_000_000];
        var errors = new List<string>();
        for (var i = 0; i < 20; i++)
        {
            using var request = Post(version, new ByteArrayContent(body));
            try
            {
                using var response = await client.SendAsync(request);
                Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
            }
            catch (HttpRequestException e)
            {
                errors.Add(e.ToString());
            }
        }

        Assert.DoesNotContain(field.Log.Lines, static l => l.Contains("failing", StringComparison.Ordinal));
        Assert.All(errors, static e => Assert.Contains("The instance answered 413 and closed the connection", e, StringComparison.Ordinal));
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
            switch (source)
            {
                case Source.EndsEarly:
                    return;
                case Source.EndsLate:
                    await stream.WriteAsync(new byte[100]);
                    return;
                case Source.TimesOut:
                    // Longer than what is no wait at all.
                    using (var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(100)))
                    {
                        await Task.Delay(Timeout.Infinite, limit.Token);
                    }

                    break;
            }

            throw source switch
            {
                Source.Breaks => new IOException("The disk is gone."),
                Source.Ends => new Microsoft.AspNetCore.Http.BadHttpRequestException("Unexpected end of request content."),
                Source.IsDisposed => new ObjectDisposedException("upload"),
                Source.IsConsumed => new InvalidOperationException("The stream was already consumed. It cannot be read again."),
                Source.Refuses => new HttpRequestException("Response status code does not indicate success: 503.", null, HttpStatusCode.ServiceUnavailable),
                _ => new HttpRequestException(HttpRequestError.ConnectionError, "The source refused."),
            };
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 100;
            return true;
        }
    }

    /// <summary>What resilience handlers do with an answer that says to come again.</summary>
    private sealed class Again : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var first = await base.SendAsync(request, cancellationToken);
            if (first.IsSuccessStatusCode)
            {
                return first;
            }

            first.Dispose();
            return await base.SendAsync(request, cancellationToken);
        }
    }

    /// <summary>Can be read once, as what comes over a network.</summary>
    private sealed class OnceStream() : MemoryStream(new byte[50])
    {
        public override bool CanSeek => false;
    }
}
