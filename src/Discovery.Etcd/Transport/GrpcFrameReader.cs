using System.Buffers;
using System.Buffers.Binary;
using Google.Protobuf;

namespace Discovery.Etcd.Transport;

/// <summary>Reads framed messages from a stream, one reader at a time.</summary>
/// <param name="stream">The body of a request or response.</param>
/// <param name="maxMessageSize">The largest message that is accepted, in bytes.</param>
/// <param name="onProgress">Called whenever bytes arrived.</param>
internal sealed class GrpcFrameReader(Stream stream, int maxMessageSize = GrpcFraming.MaxMessageSize, Action? onProgress = null)
{
    private readonly byte[] _header = new byte[GrpcFraming.HeaderSize];

    /// <summary>Reads the next message.</summary>
    /// <returns>The message, or <see langword="null"/> at the end of the stream.</returns>
    /// <exception cref="GrpcException">The bytes are no message.</exception>
    public async ValueTask<T?> ReadAsync<T>(MessageParser<T> parser, CancellationToken cancellationToken)
        where T : class, IMessage<T>
    {
        var got = await FillAsync(_header, cancellationToken);
        if (got == 0)
        {
            return null;
        }

        if (got < GrpcFraming.HeaderSize)
        {
            throw GrpcException.Malformed("the message was cut off inside its header");
        }

        if (_header[0] != 0)
        {
            throw GrpcException.Malformed($"the message is compressed (flag {_header[0]}), which was not asked for");
        }

        var length = BinaryPrimitives.ReadUInt32BigEndian(_header.AsSpan(1));
        if (length > (uint)maxMessageSize)
        {
            throw GrpcException.TooLarge(length, maxMessageSize);
        }

        return await ReadBodyAsync(parser, (int)length, cancellationToken);
    }

    private async ValueTask<T> ReadBodyAsync<T>(MessageParser<T> parser, int length, CancellationToken cancellationToken)
        where T : class, IMessage<T>
    {
        var buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            var got = await FillAsync(buffer.AsMemory(0, length), cancellationToken);
            return got < length
                ? throw GrpcException.Malformed($"the message was cut off after {got} of {length} bytes")
                : parser.ParseFrom(buffer.AsSpan(0, length));
        }
        catch (InvalidProtocolBufferException e)
        {
            throw GrpcException.Malformed("the message cannot be decoded", e);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async ValueTask<int> FillAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var filled = 0;
        while (filled < buffer.Length)
        {
            var read = await stream.ReadAsync(buffer[filled..], cancellationToken);
            if (read == 0)
            {
                break;
            }

            filled += read;
            onProgress?.Invoke();
        }

        return filled;
    }
}
