using System.Buffers;
using Grpc.Core;

namespace Grpc.Protocol;

/// <summary>The bytes of a received message.</summary>
internal sealed class MessagePayload(ReadOnlySequence<byte> bytes) : DeserializationContext
{
    public override byte[] PayloadAsNewBuffer() => bytes.ToArray();

    public override ReadOnlySequence<byte> PayloadAsReadOnlySequence() => bytes;
}
