using System.Buffers.Binary;
using System.Net.Sockets;

namespace Discovery.FieldTests.Support;

/// <summary>Speaks as much of HTTP/2 as it takes to treat a client badly.</summary>
/// <param name="onRequest">Called with the number of the stream of each request.</param>
internal sealed class RawHttp2Server(Func<RawHttp2Server.Connection, int, Task> onRequest) : TcpServer
{
    private const int PrefaceLength = 24;
    private const byte Headers = 1;
    private const byte ResetStream = 3;
    private const byte Settings = 4;
    private const byte GoAway = 7;
    private const byte Acknowledged = 1;

    private int _requests;

    public int Requests => Volatile.Read(ref _requests);

    protected override async Task ServeAsync(TcpClient client, CancellationToken stop)
    {
        var connection = new Connection(client.GetStream());
        await connection.Stream.ReadExactlyAsync(new byte[PrefaceLength], stop);
        await connection.WriteAsync(Settings, flags: 0, stream: 0, []);
        var header = new byte[9];
        while (true)
        {
            await connection.Stream.ReadExactlyAsync(header, stop);
            await connection.Stream.ReadExactlyAsync(new byte[(header[0] << 16) | (header[1] << 8) | header[2]], stop);
            switch (header[3])
            {
                case Settings when header[4] != Acknowledged:
                    await connection.WriteAsync(Settings, Acknowledged, stream: 0, []);
                    break;
                case Headers:
                    Interlocked.Increment(ref _requests);
                    await onRequest(connection, BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(5)));
                    break;
            }
        }
    }

    /// <summary>A client's connection.</summary>
    internal sealed class Connection(NetworkStream stream)
    {
        public NetworkStream Stream => stream;

        /// <summary>Ends a request, with 7 (REFUSED_STREAM) for example.</summary>
        public Task ResetAsync(int request, int error)
        {
            var payload = new byte[4];
            BinaryPrimitives.WriteInt32BigEndian(payload, error);
            return WriteAsync(ResetStream, flags: 0, request, payload);
        }

        /// <summary>Says that no request is served any longer, and closes the connection.</summary>
        /// <param name="last">The last request that is served.</param>
        public async Task GoAwayAsync(int last)
        {
            var payload = new byte[8];
            BinaryPrimitives.WriteInt32BigEndian(payload, last);
            await WriteAsync(GoAway, flags: 0, stream: 0, payload);
            stream.Close();
        }

        public async Task WriteAsync(byte type, byte flags, int stream, byte[] payload)
        {
            var frame = new byte[9 + payload.Length];
            frame[2] = (byte)payload.Length;
            (frame[3], frame[4]) = (type, flags);
            BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
            payload.CopyTo(frame.AsSpan(9));
            await Stream.WriteAsync(frame);
        }
    }
}
