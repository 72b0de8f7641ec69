using System.Buffers.Binary;
using System.Buffers;
using System.IO.Pipelines;
using Discovery.Etcd;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Http.Features;

namespace Discovery.EmbeddedEtcd.Server;

/// <summary>One gRPC call on Kestrel's own features: messages in, messages out, and the status at the end.</summary>
internal sealed class GrpcCall
{
    private const int PrefixLength = 5;

    private readonly IFeatureCollection _features;
    private readonly PipeReader _reader;
    private readonly PipeWriter _writer;
    private readonly IHttpResponseFeature _response;

    public GrpcCall(IFeatureCollection features)
    {
        _features = features;
        _reader = features.GetRequiredFeature<IRequestBodyPipeFeature>().Reader;
        _writer = features.GetRequiredFeature<IHttpResponseBodyFeature>().Writer;
        _response = features.GetRequiredFeature<IHttpResponseFeature>();
        _response.Headers.ContentType = "application/grpc";
    }

    /// <summary>The client has gone, or the connection has.</summary>
    public CancellationToken Aborted => _features.GetRequiredFeature<IHttpRequestLifetimeFeature>().RequestAborted;

    /// <summary>What was written since the last flush.</summary>
    public long UnflushedBytes { get; private set; }

    /// <summary>Reads the next message, or <see langword="null"/> where the client sends no more.</summary>
    public async ValueTask<T?> ReadAsync<T>(MessageParser<T> parser, CancellationToken cancellationToken)
        where T : class, IMessage<T>
    {
        while (true)
        {
            var result = await _reader.ReadAsync(cancellationToken);
            var buffer = result.Buffer;
            if (TryRead(ref buffer, parser, out var message))
            {
                _reader.AdvanceTo(buffer.Start);
                return message;
            }

            if (result.IsCompleted)
            {
                return buffer.IsEmpty ? null : throw new RpcException(StatusCode.Internal, "the request ends within a message");
            }

            _reader.AdvanceTo(buffer.Start, buffer.End);
        }
    }

    /// <summary>Reads the only message of a unary call, to the end of the request.</summary>
    public async ValueTask<T> ReadSingleAsync<T>(MessageParser<T> parser, CancellationToken cancellationToken)
        where T : class, IMessage<T>
    {
        var message = await ReadAsync(parser, cancellationToken)
            ?? throw new RpcException(StatusCode.Internal, "the request holds no message");
        return await ReadAsync(parser, cancellationToken) is null
            ? message
            : throw new RpcException(StatusCode.Internal, "the request holds more than one message");
    }

    public void Write(IMessage message)
    {
        var size = message.CalculateSize();
        var prefix = _writer.GetSpan(PrefixLength);
        prefix[0] = 0;
        BinaryPrimitives.WriteInt32BigEndian(prefix[1..], size);
        _writer.Advance(PrefixLength);
        message.WriteTo(_writer);
        UnflushedBytes += PrefixLength + size;
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        UnflushedBytes = 0;
        await _writer.FlushAsync(cancellationToken);
    }

    /// <summary>Sends the response's headers: a streaming client waits for them before it has anything to say.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
        => _features.GetRequiredFeature<IHttpResponseBodyFeature>().StartAsync(cancellationToken);

    /// <summary>Sets the status. Without a message before it, it goes out in the headers.</summary>
    public void End(StatusCode status, string? message = null)
    {
        var headers = _response.HasStarted || UnflushedBytes > 0
            ? _features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers
            : _response.Headers;
        headers["grpc-status"] = ((int)status).ToString(System.Globalization.CultureInfo.InvariantCulture);
        if (message is not null)
        {
            headers["grpc-message"] = GrpcMessageText.Encode(message);
        }
    }

    private static bool TryRead<T>(ref ReadOnlySequence<byte> buffer, MessageParser<T> parser, out T? message)
        where T : class, IMessage<T>
    {
        message = null;
        if (buffer.Length < PrefixLength)
        {
            return false;
        }

        Span<byte> prefix = stackalloc byte[PrefixLength];
        buffer.Slice(0, PrefixLength).CopyTo(prefix);
        if (prefix[0] != 0)
        {
            throw new RpcException(StatusCode.Unimplemented, "compressed messages are not supported by the embedded etcd");
        }

        var size = BinaryPrimitives.ReadUInt32BigEndian(prefix[1..]);
        if (size > GrpcLimits.MaxMessageSize)
        {
            throw new RpcException(
                StatusCode.ResourceExhausted, $"grpc: received message larger than max ({size} vs. {GrpcLimits.MaxMessageSize})");
        }

        if (buffer.Length < PrefixLength + size)
        {
            return false;
        }

        try
        {
            message = parser.ParseFrom(buffer.Slice(PrefixLength, size));
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new RpcException(StatusCode.Internal, $"grpc: error unmarshalling request: {e.Message}");
        }

        buffer = buffer.Slice(PrefixLength + size);
        return true;
    }
}
