using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Runtime.InteropServices;
using System.Text;

namespace Discovery.Benchmarks.Calls;

/// <summary>
/// A connection that ends in memory, at a server that costs next to nothing and answers every request alike: what is left of a call is
/// the client's. It stands in for a socket, whose system calls take many times what is to be measured here.
/// </summary>
internal sealed class CannedConnection : Stream
{
    private const int FrameHeader = 9;
    private const byte Data = 0;
    private const byte Headers = 1;
    private const byte Settings = 4;
    private const byte Ping = 6;
    private const byte WindowUpdate = 8;
    private const byte EndStream = 1;
    private const byte Ack = 1;
    private const byte EndHeaders = 4;
    private const int PrefaceLength = 24;

    private static readonly byte[] Http1Answer = Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nServer: memory\r\nContent-Length: 0\r\n\r\n");
    private static readonly byte[] Http1AnswerWithBody = Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nServer: memory\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");

    // HPACK: ":status 200" is entry 8, content-length 28, content-type 31 and server 54, with plain literals; grpc-status has no entry.
    private static readonly byte[] BodyHeaders = [0x88, 0x0f, 0x27, 6, .. "memory"u8];
    private static readonly byte[] EmptyHeaders = [.. BodyHeaders, 0x0f, 0x0d, 1, .. "0"u8];
    private static readonly byte[] GrpcHeaders = [.. BodyHeaders, 0x0f, 0x10, 16, .. "application/grpc"u8];
    private static readonly byte[] GrpcTrailers = [0x00, 11, .. "grpc-status"u8, 1, .. "0"u8];
    private static readonly byte[] EmptyMessage = new byte[5];

    private readonly Answer _answer;
    private readonly bool _isHttp2;
    private readonly Pipe _answers = new(new PipeOptions(useSynchronizationContext: false));
    private readonly Stream _reader;
    private readonly List<byte> _received = [];

    public CannedConnection(Answer answer, bool isHttp2)
    {
        _answer = answer;
        _isHttp2 = isHttp2;
        _reader = _answers.Reader.AsStream();
        if (isHttp2)
        {
            Write(Settings, 0, 0, []);
            // Enough for the bodies of a run.
            Write(WindowUpdate, 0, 0, [0x7f, 0, 0, 0]);
        }
    }

    /// <summary>What each request is answered by.</summary>
    internal enum Answer
    {
        Empty,
        Body,
        Grpc,
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => _reader.Read(buffer, offset, count);

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
        => _reader.ReadAsync(buffer, offset, count, cancellationToken);

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        => _reader.ReadAsync(buffer, cancellationToken);

    public override void Write(byte[] buffer, int offset, int count)
    {
        Receive(buffer.AsSpan(offset, count));
        var flushed = _answers.Writer.FlushAsync();
        if (!flushed.IsCompletedSuccessfully)
        {
            flushed.AsTask().GetAwaiter().GetResult();
        }
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        Write(buffer, offset, count);
        return Task.CompletedTask;
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Receive(buffer.Span);
        var flushed = _answers.Writer.FlushAsync(CancellationToken.None);
        return flushed.IsCompletedSuccessfully ? ValueTask.CompletedTask : new ValueTask(flushed.AsTask());
    }

    public override void Flush()
    {
        // Nothing waits here.
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _answers.Writer.Complete();
        }

        base.Dispose(disposing);
    }

    private void Receive(ReadOnlySpan<byte> bytes)
    {
        if (!_isHttp2)
        {
            if (bytes.EndsWith("\r\n\r\n"u8))
            {
                Send(_answer == Answer.Empty ? Http1Answer : Http1AnswerWithBody);
            }

            return;
        }

        _received.AddRange(bytes);
        ReceiveFrames();
    }

    private void ReceiveFrames()
    {
        var all = CollectionsMarshal.AsSpan(_received);
        var at = 0;
        if (all.StartsWith("PRI"u8))
        {
            at = PrefaceLength;
        }

        while (all.Length - at >= FrameHeader)
        {
            var length = (all[at] << 16) | (all[at + 1] << 8) | all[at + 2];
            if (all.Length - at < FrameHeader + length)
            {
                break;
            }

            var (type, flags, stream) = (all[at + 3], all[at + 4], BinaryPrimitives.ReadInt32BigEndian(all[(at + 5)..]));
            OnFrame(type, flags, stream, all.Slice(at + FrameHeader, length));
            at += FrameHeader + length;
        }

        _received.RemoveRange(0, at);
    }

    private void OnFrame(byte type, byte flags, int stream, ReadOnlySpan<byte> payload)
    {
        switch (type)
        {
            case Settings or Ping when (flags & Ack) == 0:
                Write(type, Ack, 0, type == Ping ? payload : []);
                break;
            case Headers or Data when (flags & EndStream) != 0:
                Respond(stream);
                break;
        }
    }

    private void Respond(int stream)
    {
        switch (_answer)
        {
            case Answer.Empty:
                Write(Headers, EndHeaders | EndStream, stream, EmptyHeaders);
                break;
            case Answer.Body:
                Write(Headers, EndHeaders, stream, BodyHeaders);
                Write(Data, EndStream, stream, "hello"u8);
                break;
            case Answer.Grpc:
                Write(Headers, EndHeaders, stream, GrpcHeaders);
                Write(Data, 0, stream, EmptyMessage);
                Write(Headers, EndHeaders | EndStream, stream, GrpcTrailers);
                break;
        }
    }

    private void Write(byte type, int flags, int stream, ReadOnlySpan<byte> payload)
    {
        var frame = _answers.Writer.GetSpan(FrameHeader + payload.Length);
        BinaryPrimitives.WriteInt32BigEndian(frame, (payload.Length << 8) | type);
        frame[4] = (byte)flags;
        BinaryPrimitives.WriteInt32BigEndian(frame[5..], stream);
        payload.CopyTo(frame[FrameHeader..]);
        _answers.Writer.Advance(FrameHeader + payload.Length);
    }

    private void Send(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_answers.Writer.GetSpan(bytes.Length));
        _answers.Writer.Advance(bytes.Length);
    }
}
