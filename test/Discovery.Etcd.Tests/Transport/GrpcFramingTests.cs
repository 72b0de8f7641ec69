using Discovery.Etcd.Protocol;
using Discovery.Etcd.Transport;
using Google.Protobuf;

namespace Discovery.Etcd.Tests.Transport;

public sealed class GrpcFramingTests
{
    private static readonly PutRequest Message = new() { Key = ByteString.CopyFromUtf8("key"), Value = ByteString.CopyFrom(new byte[300]) };

    [Fact]
    public async Task Messages_come_back_as_they_were_framed()
    {
        byte[] two = [.. GrpcFraming.Frame(Message), .. GrpcFraming.Frame(new PutRequest())];
        var reader = new GrpcFrameReader(new OneByteStream(two));

        Assert.Equal(Message, await reader.ReadAsync(PutRequest.Parser, default));
        Assert.Equal(new PutRequest(), await reader.ReadAsync(PutRequest.Parser, default));
        Assert.Null(await reader.ReadAsync(PutRequest.Parser, default));
    }

    [Fact]
    public async Task A_message_cut_off_anywhere_is_malformed()
    {
        var whole = GrpcFraming.Frame(Message);
        for (var length = 1; length < whole.Length; length++)
        {
            var error = await ReadFailsAsync(whole[..length]);
            Assert.Equal(GrpcFailureKind.Malformed, error.Kind);
            Assert.Contains("cut off", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_compressed_message_is_malformed()
    {
        var frame = GrpcFraming.Frame(Message);
        frame[0] = 1;

        Assert.Contains("compressed", (await ReadFailsAsync(frame)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_oversized_message_is_refused_before_memory_is_taken_for_it()
    {
        var error = await ReadFailsAsync([0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]);

        Assert.Equal(EtcdStatusCode.ResourceExhausted, error.Code);
        Assert.Contains("4294967295", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bytes_that_are_no_message_are_malformed()
    {
        var error = await ReadFailsAsync([0, 0, 0, 0, 3, 0xff, 0xff, 0xff]);

        Assert.Equal(GrpcFailureKind.Malformed, error.Kind);
        Assert.Contains("cannot be decoded", error.Message, StringComparison.Ordinal);
    }

    private static Task<GrpcException> ReadFailsAsync(byte[] bytes) =>
        Assert.ThrowsAsync<GrpcException>(() => new GrpcFrameReader(new MemoryStream(bytes)).ReadAsync(PutRequest.Parser, default).AsTask());

    /// <summary>Gives one byte at a time, as a network may.</summary>
    private sealed class OneByteStream(byte[] bytes) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(1, buffer.Length)], cancellationToken);
    }
}
