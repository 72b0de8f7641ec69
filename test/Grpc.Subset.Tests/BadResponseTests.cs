using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Subset.Tests.Interop;

namespace Grpc.Subset.Tests;

public sealed class BadResponseTests
{
    [Theory]
    [InlineData(400, StatusCode.Internal)]
    [InlineData(401, StatusCode.Unauthenticated)]
    [InlineData(403, StatusCode.PermissionDenied)]
    [InlineData(404, StatusCode.Unimplemented)]
    [InlineData(418, StatusCode.Unknown)]
    [InlineData(429, StatusCode.Unavailable)]
    [InlineData(431, StatusCode.Internal)]
    [InlineData(500, StatusCode.Unknown)]
    [InlineData(502, StatusCode.Unavailable)]
    [InlineData(503, StatusCode.Unavailable)]
    [InlineData(504, StatusCode.Unavailable)]
    public async Task An_http_error_becomes_a_status(int http, StatusCode code)
        => await AssertFails(
            () => new HttpResponseMessage((HttpStatusCode)http) { Version = HttpVersion.Version20 },
            new Status(code, $"Bad gRPC response. HTTP status code: {http}"));

    [Fact]
    public async Task A_grpc_status_counts_more_than_the_http_status()
        => await AssertFails(
            () =>
            {
                var response = new HttpResponseMessage(HttpStatusCode.InternalServerError) { Version = HttpVersion.Version20 };
                response.Headers.Add("grpc-status", "5");
                response.Headers.Add("grpc-message", "gone%20away");
                return response;
            },
            new Status(StatusCode.NotFound, "gone away"));

    [Fact]
    public async Task An_older_http_version_is_refused()
        => await AssertFails(
            () => new HttpResponseMessage(HttpStatusCode.OK),
            new Status(StatusCode.Internal, "Bad gRPC response. Response protocol downgraded to HTTP/1.1."));

    [Fact]
    public async Task A_web_page_is_no_answer()
        => await AssertFails(
            () => new HttpResponseMessage(HttpStatusCode.OK) { Version = HttpVersion.Version20, Content = new StringContent("", null, "text/html") },
            new Status(StatusCode.Cancelled, "Bad gRPC response. Invalid content-type value: text/html; charset=utf-8"));

    [Fact]
    public async Task A_response_without_content_type_is_no_answer()
        => await AssertFails(
            () => new HttpResponseMessage(HttpStatusCode.OK) { Version = HttpVersion.Version20, Content = new ByteArrayContent([]) },
            new Status(StatusCode.Cancelled, "Bad gRPC response. Response did not have a content-type header."));

    [Fact]
    public async Task A_response_without_status_is_cancelled()
        => await AssertFails(
            () => StubHandler.Grpc(0, 0, 0, 0, 0),
            new Status(StatusCode.Cancelled, "No grpc-status found on response."));

    [Fact]
    public async Task A_status_that_is_no_number_is_cancelled()
        => await AssertFails(
            () => WithTrailers(StubHandler.Grpc(0, 0, 0, 0, 0), ("grpc-status", "fine")),
            new Status(StatusCode.Cancelled, "Unexpected grpc-status value: fine"));

    [Fact]
    public async Task Success_without_a_message_is_a_failure()
    {
        await AssertFails(
            () => WithTrailers(StubHandler.Grpc(), ("grpc-status", "0")),
            new Status(StatusCode.Internal, "Failed to deserialize response message."),
            streamFails: false);
        await AssertFails(
            () =>
            {
                var response = StubHandler.Grpc();
                response.Headers.Add("grpc-status", "0");
                return response;
            },
            new Status(
                StatusCode.Internal,
                "Failed to deserialize response message. The response header contains a gRPC status of OK, which means any message returned to the "
                + "client for this call should be ignored. A unary or client streaming gRPC call must have a response message, which makes this "
                + "response invalid."),
            streamFails: false);
    }

    [Theory]
    [InlineData("InvalidDataException: Unexpected end of content while reading the message header.", 0, 0)]
    [InlineData("InvalidDataException: Unexpected end of content while reading the message content.", 0, 0, 0, 0, 2, 0)]
    [InlineData("InvalidDataException: Unexpected compressed flag value in message header.", 2, 0, 0, 0, 0)]
    [InlineData("InvalidDataException: Message too large.", 0, 128, 0, 0, 0)]
    public async Task A_broken_frame_is_an_internal_error(string detail, params int[] body)
    {
        Func<HttpResponseMessage> respond = () => WithTrailers(StubHandler.Grpc([.. body.Select(b => (byte)b)]), ("grpc-status", "0"));

        Assert.Equal((StatusCode.Internal, $"Error starting gRPC call. {detail}"), await UnaryFailure(respond));
        Assert.Equal((StatusCode.Internal, $"Error reading next message. {detail}"), await StreamFailure(respond));
    }

    [Fact]
    public async Task More_than_one_message_is_an_internal_error()
        => Assert.Equal(
            (StatusCode.Internal, "Error starting gRPC call. InvalidDataException: Unexpected data after finished reading message."),
            await UnaryFailure(() => WithTrailers(StubHandler.Grpc(0, 0, 0, 0, 0, 0), ("grpc-status", "0"))));

    [Theory]
    [InlineData(null, StatusCode.Internal, "Request sent 'identity' grpc-encoding value with compressed message.")]
    [InlineData("snappy", StatusCode.Unimplemented, "Unsupported grpc-encoding value 'snappy'. Supported encodings: identity")]
    public async Task A_message_in_an_unknown_compression_is_refused(string? encoding, StatusCode code, string detail)
    {
        var (actual, text) = await UnaryFailure(() =>
        {
            var response = WithTrailers(StubHandler.Grpc(1, 0, 0, 0, 0), ("grpc-status", "0"));
            if (encoding is not null)
            {
                response.Headers.Add("grpc-encoding", encoding);
            }

            return response;
        });

        Assert.Equal(code, actual);
        Assert.StartsWith(detail, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Trailers_that_cannot_be_read_do_not_hide_the_status()
    {
        var client = Client(() => WithTrailers(StubHandler.Grpc(0, 0, 0, 0, 0), ("grpc-status", "5"), ("a-bin", "?")));
        using var call = client.EchoAsync(new Message());

        var exception = await Failure.OfAsync(() => call.ResponseAsync);

        Assert.Equal(StatusCode.NotFound, exception.StatusCode);
        Assert.Empty(exception.Trailers);
        Assert.Throws<FormatException>(call.GetTrailers);
    }

    [Fact]
    public async Task Names_of_trailers_that_are_not_valid_do_not_hide_the_status()
        => await AssertFails(
            () => WithTrailers(StubHandler.Grpc(0, 0, 0, 0, 0), ("grpc-status", "5"), ("a!b", "")),
            new Status(StatusCode.NotFound, ""));

    [Fact]
    public async Task Headers_that_cannot_be_read_are_an_internal_error()
    {
        using var call = Client(() =>
        {
            var response = WithTrailers(StubHandler.Grpc(0, 0, 0, 0, 0), ("grpc-status", "0"));
            response.Headers.TryAddWithoutValidation("a!b", "");
            return response;
        }).EchoAsync(new Message());

        await call;

        Assert.Equal(StatusCode.Internal, (await Failure.OfAsync(() => call.ResponseHeadersAsync)).StatusCode);
    }

    [Theory]
    [InlineData("grpc-status")]
    [InlineData("grpc-message")]
    public async Task A_status_that_comes_twice_is_cancelled(string twice)
        => await AssertFails(
            () => WithTrailers(StubHandler.Grpc(0, 0, 0, 0, 0), ("grpc-status", "5"), (twice, "6"), (twice, "7")),
            new Status(StatusCode.Cancelled, $"Multiple {twice} headers."));

    [Theory]
    [InlineData("AQI=")]
    [InlineData("AQI")]
    public async Task Bytes_may_come_with_or_without_padding(string base64)
    {
        using var call = Client(() => WithTrailers(StubHandler.Grpc(0, 0, 0, 0, 0), ("grpc-status", "0"), ("a-bin", base64))).EchoAsync(new Message());

        await call;

        Assert.Equal<byte[]>([1, 2], call.GetTrailers().GetValueBytes("a-bin")!);
    }

    [Fact]
    public async Task A_failed_connection_is_unavailable()
        => await AssertFails(
            () => throw new HttpRequestException("no way", new SocketException((int)SocketError.ConnectionRefused)),
            new Status(StatusCode.Unavailable, "Error starting gRPC call. HttpRequestException: no way SocketException: Connection refused"));

    [Fact]
    public async Task A_broken_connection_is_unavailable()
        => await AssertFails(
            () => throw new HttpRequestException("broken", new IOException("wire")),
            new Status(StatusCode.Unavailable, "Error starting gRPC call. HttpRequestException: broken IOException: wire"));

    [Theory]
    [InlineData(0x0, StatusCode.Internal)]
    [InlineData(0x2, StatusCode.Internal)]
    [InlineData(0x7, StatusCode.Unavailable)]
    [InlineData(0x8, StatusCode.Cancelled)]
    [InlineData(0xb, StatusCode.ResourceExhausted)]
    [InlineData(0xc, StatusCode.PermissionDenied)]
    [InlineData(0xd, StatusCode.Internal)]
    public async Task A_reset_becomes_the_status_of_its_code(int errorCode, StatusCode code)
    {
        var reset = new HttpProtocolException(errorCode, "stream", null);
        await AssertFails(
            () => throw new HttpRequestException("reset", reset),
            new Status(code, $"Error starting gRPC call. HttpRequestException: reset HttpProtocolException: {reset.Message}"));
    }

    [Fact]
    public async Task Any_other_failure_is_internal()
        => await AssertFails(
            () => throw new NotSupportedException("never"),
            new Status(StatusCode.Internal, "Error starting gRPC call. NotSupportedException: never"));

    [Fact]
    public async Task A_handler_may_throw_a_status_itself()
        => await AssertFails(() => throw new RpcException(new Status(StatusCode.Aborted, "mine")), new Status(StatusCode.Aborted, "mine"));

    private static HttpResponseMessage WithTrailers(HttpResponseMessage response, params (string Name, string Value)[] trailers)
    {
        foreach (var (name, value) in trailers)
        {
            response.TrailingHeaders.TryAddWithoutValidation(name, value);
        }

        return response;
    }

    private static Interop.Interop.InteropClient Client(Func<HttpResponseMessage> respond)
        => new(GrpcChannel.ForAddress("http://stub", new GrpcChannelOptions { HttpHandler = new StubHandler(respond) }));

    private static async Task AssertFails(Func<HttpResponseMessage> respond, Status expected, bool streamFails = true)
    {
        Assert.Equal((expected.StatusCode, expected.Detail), await UnaryFailure(respond));
        if (streamFails)
        {
            Assert.Equal((expected.StatusCode, expected.Detail), await StreamFailure(respond));
        }
        else
        {
            using var call = Client(respond).Count(new Message());
            Assert.False(await call.ResponseStream.MoveNext());
            Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
        }
    }

    private static async Task<(StatusCode Code, string Detail)> UnaryFailure(Func<HttpResponseMessage> respond)
    {
        using var call = Client(respond).EchoAsync(new Message());
        var exception = await Failure.OfAsync(() => call.ResponseAsync);
        Assert.Equal(exception.StatusCode, call.GetStatus().StatusCode);
        return (exception.StatusCode, exception.Status.Detail);
    }

    private static async Task<(StatusCode Code, string Detail)> StreamFailure(Func<HttpResponseMessage> respond)
    {
        using var call = Client(respond).Count(new Message());
        var exception = await Failure.OfAsync(async () =>
        {
            while (await call.ResponseStream.MoveNext())
            {
            }
        });
        Assert.Equal(exception.StatusCode, call.GetStatus().StatusCode);
        return (exception.StatusCode, exception.Status.Detail);
    }
}
