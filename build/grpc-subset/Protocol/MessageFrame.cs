using System.Buffers.Binary;

namespace Grpc.Protocol;

/// <summary>The five bytes before each message: whether it is compressed, and its length.</summary>
internal readonly record struct MessageFrame(bool Compressed, uint Length)
{
    public const int Size = 5;

    public static MessageFrame Read(ReadOnlySpan<byte> bytes)
        => bytes[0] > 1
            ? throw new InvalidDataException("Unexpected compressed flag value in message header.")
            : new MessageFrame(bytes[0] == 1, BinaryPrimitives.ReadUInt32BigEndian(bytes[1..]));

    public static void Write(Span<byte> bytes, int length)
    {
        bytes[0] = 0;
        BinaryPrimitives.WriteUInt32BigEndian(bytes[1..], (uint)length);
    }
}
