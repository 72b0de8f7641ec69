using System.Buffers;
using Grpc.Core;
using Grpc.Protocol;

namespace Grpc.Net.Client.Responses;

/// <summary>Reads messages from the body of a response.</summary>
internal sealed class ResponseReader<T>(Stream body, string encoding, Func<DeserializationContext, T> deserialize, int? maxMessageSize)
    where T : class
{
    private readonly byte[] _frame = new byte[MessageFrame.Size];

    /// <summary>Reads the next message; null at the end of the body.</summary>
    public async ValueTask<T?> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await ReadFrameAsync(cancellationToken) is { } frame ? await ReadMessageAsync(frame, cancellationToken) : null;
        }
        catch (ObjectDisposedException) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
    }

    /// <summary>Reads the only message; null when there is none.</summary>
    /// <exception cref="InvalidDataException">More follows.</exception>
    public async ValueTask<T?> ReadSingleAsync(CancellationToken cancellationToken)
    {
        var message = await ReadAsync(cancellationToken);

        // Reading to the end is also what makes the trailers arrive.
        return message is not null && await body.ReadAsync(_frame, cancellationToken) > 0
            ? throw new InvalidDataException("Unexpected data after finished reading message.")
            : message;
    }

    private async ValueTask<MessageFrame?> ReadFrameAsync(CancellationToken cancellationToken)
    {
        var read = await body.ReadAtLeastAsync(_frame, _frame.Length, throwOnEndOfStream: false, cancellationToken);
        return read switch
        {
            0 => null,
            < MessageFrame.Size => throw new InvalidDataException("Unexpected end of content while reading the message header."),
            _ => MessageFrame.Read(_frame),
        };
    }

    private async ValueTask<T> ReadMessageAsync(MessageFrame frame, CancellationToken cancellationToken)
    {
        if (frame.Length > int.MaxValue)
        {
            throw new InvalidDataException("Message too large.");
        }

        if (frame.Length > maxMessageSize)
        {
            throw new RpcException(MessageErrors.ReceivedTooLarge);
        }

        var length = (int)frame.Length;
        var buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            var read = await body.ReadAtLeastAsync(buffer.AsMemory(0, length), length, throwOnEndOfStream: false, cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
            if (read < length)
            {
                throw new InvalidDataException("Unexpected end of content while reading the message content.");
            }

            return frame.Compressed
                ? throw new RpcException(MessageErrors.Compressed(encoding))
                : deserialize(new MessagePayload(new ReadOnlySequence<byte>(buffer, 0, length)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
