using System.Buffers.Binary;
using Google.Protobuf;

namespace Discovery.Etcd.Transport;

/// <summary>gRPC's message framing: one flag byte, four bytes of length (big endian), the message.</summary>
internal static class GrpcFraming
{
    /// <summary>The bytes before each message.</summary>
    public const int HeaderSize = 5;

    /// <summary>
    /// The largest message that is read. etcd itself sets no limit; this one keeps a peer that is no etcd from making us allocate
    /// gigabytes. 128 MiB is 1,000 values of nearly etcd's largest request together, and lists ask for smaller pages when they meet it.
    /// </summary>
    public const int MaxMessageSize = 128 * 1024 * 1024;

    /// <summary>The message with its frame, serialized straight into the one buffer that is sent.</summary>
    public static byte[] Frame(IMessage message)
    {
        var size = message.CalculateSize();
        var frame = new byte[HeaderSize + size];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), size);
        message.WriteTo(frame.AsSpan(HeaderSize));
        return frame;
    }
}
