using System.Buffers.Binary;
using Google.Protobuf;

namespace Discovery.Etcd.Tests;

/// <summary>gRPC's message framing, written out so that a server can get it wrong: one flag byte, four bytes of length (big endian), the message.</summary>
internal static class GrpcFraming
{
    public const string ContentType = "application/grpc";
    public const int HeaderSize = 5;

    public static byte[] Frame(IMessage message)
    {
        var size = message.CalculateSize();
        var frame = new byte[HeaderSize + size];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), size);
        message.WriteTo(frame.AsSpan(HeaderSize));
        return frame;
    }
}

/// <summary>Reads framed messages from the body of a request.</summary>
internal sealed class GrpcFrameReader(Stream body)
{
    /// <summary>The next message; <see langword="null"/> at the end.</summary>
    public async Task<T?> ReadAsync<T>(MessageParser<T> parser, CancellationToken cancellationToken)
        where T : class, IMessage<T>
    {
        var header = new byte[GrpcFraming.HeaderSize];
        if (await body.ReadAtLeastAsync(header, header.Length, throwOnEndOfStream: false, cancellationToken) < header.Length)
        {
            return null;
        }

        var message = new byte[BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(1))];
        await body.ReadExactlyAsync(message, cancellationToken);
        return parser.ParseFrom(message);
    }
}
