using System.Net;
using System.Net.Http.Headers;
using Grpc.Core;
using Grpc.Subset.Tests.Interop;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Grpc.Subset.Tests;

/// <summary>What a server says to requests that no good client sends.</summary>
public sealed class HttpProtocolTests
{
    private static readonly byte[] EmptyMessage = new byte[5];

    [Fact]
    public async Task A_good_request_is_answered_with_a_frame_and_trailers()
    {
        await using var server = await TestServer.StartAsync();

        using var response = await SendAsync(server, "Echo", [0, 0, 0, 0, 3, 10, 1, 97]);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("application/grpc", response.Content.Headers.ContentType!.ToString());
        Assert.Equal<byte[]>([0, 0, 0, 0, 3, 10, 1, 97], await response.Content.ReadAsByteArrayAsync());
        Assert.Equal("0", response.TrailingHeaders.GetValues("grpc-status").Single());
        Assert.False(response.Headers.Contains("grpc-status"));
        Assert.False(response.TrailingHeaders.Contains("grpc-message"));
    }

    [Fact]
    public async Task An_error_without_messages_is_one_block_of_headers()
    {
        await using var server = await TestServer.StartAsync();

        using var response = await SendAsync(server, "Missing", EmptyMessage);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("12", response.Headers.GetValues("grpc-status").Single());
        Assert.Empty(await response.Content.ReadAsByteArrayAsync());
        Assert.Empty(response.TrailingHeaders);
    }

    [Theory]
    [InlineData("application/grpc+proto")]
    [InlineData("application/grpc;charset=utf-8")]
    public async Task A_content_type_may_have_a_suffix(string contentType)
    {
        await using var server = await TestServer.StartAsync();

        using var response = await SendAsync(server, "Echo", EmptyMessage, contentType: contentType);

        Assert.Equal("0", await StatusAsync(response));
    }

    [Theory]
    [InlineData("application/json", "Content-Type 'application/json' is not supported.")]
    [InlineData("application/grpc-web", "Content-Type 'application/grpc-web' is not supported.")]
    [InlineData(null, "Content-Type is missing from the request.")]
    public async Task Another_content_type_is_refused(string? contentType, string message)
    {
        await using var server = await TestServer.StartAsync();

        using var response = await SendAsync(server, "Echo", EmptyMessage, contentType: contentType);

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
        Assert.Equal("13", response.Headers.GetValues("grpc-status").Single());
        Assert.Equal(message, response.Headers.GetValues("grpc-message").Single());
    }

    [Fact]
    public async Task An_older_http_version_is_refused()
    {
        await using var server = await TestServer.StartAsync(protocols: HttpProtocols.Http1);

        using var response = await SendAsync(server, "Echo", EmptyMessage, HttpVersion.Version11);

        Assert.Equal(HttpStatusCode.UpgradeRequired, response.StatusCode);
        Assert.Equal("HTTP/2", response.Headers.Upgrade.Single().ToString());
        Assert.Equal("Request protocol 'HTTP/1.1' is not supported.", response.Headers.GetValues("grpc-message").Single());
    }

    [Fact]
    public async Task Only_post_is_a_call()
    {
        await using var server = await TestServer.StartAsync();

        using var known = await SendAsync(server, "Echo", EmptyMessage, method: HttpMethod.Get);
        using var unknown = await SendAsync(server, "Unheard", EmptyMessage, method: HttpMethod.Get);
        using var plain = await SendAsync(server, "Unheard", EmptyMessage, contentType: "text/plain");

        Assert.Equal(HttpStatusCode.NotFound, known.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, plain.StatusCode);
    }

    [Fact]
    public async Task A_preflight_that_nobody_answered_names_cors()
    {
        await using var server = await TestServer.StartAsync();

        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Options, $"{server.Address}/interop.v1.Interop/Echo")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Headers = { { "Origin", "http://elsewhere" }, { "Access-Control-Request-Method", "POST" } },
        };

        using var response = await client.SendAsync(request);

        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.Contains("CORS", response.Headers.GetValues("grpc-message").Single(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("13", "Incomplete message.")]
    [InlineData("13", "Incomplete message.", 0, 0)]
    [InlineData("13", "Incomplete message.", 0, 0, 0, 0, 5, 1)]
    [InlineData("13", "Additional data after the message received.", 0, 0, 0, 0, 0, 0)]
    [InlineData("2", "Exception was thrown by handler.", 2, 0, 0, 0, 0)]
    [InlineData("2", "Exception was thrown by handler.", 0, 0, 0, 0, 1, 255)]
    [InlineData("8", "Received message exceeds the maximum configured message size.", 0, 127, 0, 0, 0)]
    [InlineData("2", "Exception was thrown by handler.", 0, 128, 0, 0, 0)]
    [InlineData("13", "Request did not include grpc-encoding value with compressed message.", 1, 0, 0, 0, 0)]
    public async Task A_broken_body_ends_the_call(string status, string message, params int[] body)
    {
        await using var server = await TestServer.StartAsync();

        using var response = await SendAsync(server, "Echo", [.. body.Select(b => (byte)b)]);

        Assert.Equal((status, message), (await StatusAsync(response), response.Headers.GetValues("grpc-message").Single()));
    }

    [Fact]
    public async Task A_compression_that_the_server_lacks_is_refused_with_those_it_has()
    {
        await using var server = await TestServer.StartAsync();

        using var response = await SendAsync(server, "Echo", [1, 0, 0, 0, 0], header: ("grpc-encoding", "snappy"));

        Assert.Equal("12", await StatusAsync(response));
        Assert.StartsWith(
            "Unsupported grpc-encoding value 'snappy'. Supported encodings: identity",
            response.Headers.GetValues("grpc-message").Single(),
            StringComparison.Ordinal);
        var accepted = response.Headers.GetValues("grpc-accept-encoding").Single();
        Assert.Contains("identity", accepted, StringComparison.Ordinal);
        Assert.DoesNotContain("snappy", accepted, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("200m", true)]
    [InlineData("200000u", true)]
    [InlineData("200000000n", true)]
    [InlineData("1S", false)]
    [InlineData("1H", false)]
    [InlineData("99999999H", false)]
    [InlineData("soon", false)]
    [InlineData("-1S", false)]
    [InlineData("5", false)]
    [InlineData("0S", false)]
    public async Task A_deadline_counts_where_it_is_valid(string timeout, bool exceeded)
    {
        await using var server = await TestServer.StartAsync();

        // Waits 500 ms: field 2, varint 500.
        using var response = await SendAsync(server, "Wait", [0, 0, 0, 0, 3, 16, 0xf4, 0x03], header: ("grpc-timeout", timeout));

        Assert.Equal(exceeded ? "4" : "0", await StatusAsync(response));
        if (exceeded)
        {
            Assert.Equal("Deadline Exceeded", response.Headers.GetValues("grpc-message").Single());
        }
    }

    [Fact]
    public async Task A_deadline_ends_the_stream_of_requests_even_for_a_handler_that_ignores_it()
    {
        await using var server = await TestServer.StartAsync(map: app => app.MapGrpcService<DeafService>());
        using var client = new HttpClient();
        var content = new EndlessContent();
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{server.Address}/interop.v1.Interop/Collect")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        request.Headers.Add("grpc-timeout", "200m");

        // The reset that follows the answer may overtake it at the client; either way the requests have to end.
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead)
            .ContinueWith(static sent => sent.IsCompletedSuccessfully ? sent.Result : null, TaskScheduler.Default);

        await Eventually.IsTrue(() => content.Sent.IsFaulted);
    }

    private static async Task<string> StatusAsync(HttpResponseMessage response)
    {
        await response.Content.ReadAsByteArrayAsync();
        return response.Headers.Concat(response.TrailingHeaders).Single(header => header.Key == "grpc-status").Value.Single();
    }

    private static async Task<HttpResponseMessage> SendAsync(
        TestServer server,
        string rpc,
        byte[] body,
        Version? version = null,
        HttpMethod? method = null,
        string? contentType = "application/grpc",
        (string Name, string Value)? header = null)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(method ?? HttpMethod.Post, $"{server.Address}/interop.v1.Interop/{rpc}")
        {
            Version = version ?? HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(body),
        };
        if (contentType is not null)
        {
            request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);
        }

        if (header is var (name, value))
        {
            request.Headers.Add(name, value);
        }

        return await client.SendAsync(request, HttpCompletionOption.ResponseContentRead);
    }

    private sealed class DeafService : Interop.Interop.InteropBase
    {
        public override async Task<Message> Collect(IAsyncStreamReader<Message> requestStream, ServerCallContext context)
        {
            while (await requestStream.MoveNext())
            {
            }

            return new Message();
        }
    }

    /// <summary>Sends empty messages until the stream breaks.</summary>
    private sealed class EndlessContent : HttpContent
    {
        private readonly TaskCompletionSource _sent = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public EndlessContent() => Headers.ContentType = new MediaTypeHeaderValue("application/grpc");

        public Task Sent => _sent.Task;

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            try
            {
                while (true)
                {
                    await stream.WriteAsync(EmptyMessage);
                    await stream.FlushAsync();
                    await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
                }
            }
            catch (Exception exception)
            {
                _sent.TrySetException(exception);
                throw;
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = -1;
            return false;
        }
    }
}
