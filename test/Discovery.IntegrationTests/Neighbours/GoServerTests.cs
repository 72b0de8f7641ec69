using Discovery.IntegrationTests.Interop;
using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using Peers.V1;

namespace Discovery.IntegrationTests.Neighbours;

/// <summary>Our client finds and calls servers in Go that registered themselves in the ways of several projects.</summary>
public sealed class GoServerTests(GoServers servers) : IClassFixture<GoServers>
{
    public static TheoryData<string> All => Ways.All;

    [Theory, MemberData(nameof(All))]
    public async Task A_unary_call_gets_its_answer(string way)
    {
        var message = new Message { Text = "grüße", Number = -7, Payload = ByteString.CopyFrom(0, 255) };

        Assert.Equal(message, await servers.Client(way).EchoAsync(message));
    }

    [Theory, MemberData(nameof(All))]
    public async Task A_server_stream_is_read_to_its_end_and_then_gives_trailers(string way)
    {
        using var call = servers.Client(way).Count(new Message { Number = 200 });

        Assert.Equal(Enumerable.Range(0, 200), await call.ResponseStream.ReadAllAsync().Select(m => m.Number).ToListAsync());
        Assert.Equal("200", call.GetTrailers().GetValue("count"));
    }

    [Theory, MemberData(nameof(All))]
    public async Task A_deadline_ends_a_call_and_one_that_is_met_does_not(string way)
    {
        var client = servers.Client(way);

        Assert.Equal("waited", (await client.WaitAsync(new Message { Number = 10 }, deadline: In(30))).Text);
        var failure = await Failure.OfAsync(() => client.WaitAsync(new Message { Number = -1 }, deadline: In(0.5)).ResponseAsync);

        Assert.Equal(StatusCode.DeadlineExceeded, failure.StatusCode);
    }

    [Theory, MemberData(nameof(All))]
    public async Task Metadata_goes_to_the_server_and_comes_back_as_headers_and_trailers(string way)
    {
        byte[] bytes = [0, 1, 254, 255, 65];
        using var call = servers.Client(way).EchoMetadataAsync(
            new Message(), new Metadata { { "echo-text", "some text, with a comma" }, { "echo-bytes-bin", bytes } });

        var headers = await call.ResponseHeadersAsync;
        await call;

        Assert.Equal("some text, with a comma", headers.GetValue("echo-text"));
        Assert.Equal(bytes, headers.GetValueBytes("echo-bytes-bin"));
        Assert.Equal(bytes, call.GetTrailers().GetValueBytes("trailer-echo-bytes-bin"));
    }

    [Theory, MemberData(nameof(All))]
    public async Task An_error_arrives_with_code_text_trailers_and_details(string way)
    {
        const string Text = "größer als 100 %\n日本 🙂";

        var failure = await Failure.OfAsync(
            () => servers.Client(way).FailAsync(new Message { Number = (int)StatusCode.FailedPrecondition, Text = Text }).ResponseAsync);

        Assert.Equal((StatusCode.FailedPrecondition, Text), (failure.StatusCode, failure.Status.Detail));
        Assert.Equal("asked", failure.Trailers.GetValue("reason"));
        var info = failure.GetRpcStatus()?.GetDetail<ErrorInfo>();
        Assert.Equal(("ASKED", Text), (info?.Reason, info?.Metadata["text"]));
    }

    private static DateTime In(double seconds) => TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(seconds);
}
