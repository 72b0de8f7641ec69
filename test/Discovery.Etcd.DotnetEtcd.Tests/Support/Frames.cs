using System.Buffers.Binary;
using Google.Protobuf;

namespace Discovery.Etcd.DotnetEtcd.Tests.Support;

/// <summary>Messages as gRPC frames them: a byte for compression, four for the length.</summary>
internal static class Frames
{
    private const int HeadSize = 5;

    public static byte[] ToFrame(this IMessage message)
    {
        var frame = new byte[HeadSize + message.CalculateSize()];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), frame.Length - HeadSize);
        message.WriteTo(frame.AsSpan(HeadSize));
        return frame;
    }

    /// <summary>Reads one message and drops it.</summary>
    public static async Task SkipAsync(Stream stream, CancellationToken cancellationToken)
    {
        var head = new byte[HeadSize];
        await stream.ReadExactlyAsync(head, cancellationToken);
        await stream.ReadExactlyAsync(new byte[BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(1))], cancellationToken);
    }
}
