using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace Discovery.AspNetCore.Tests.Hosting;

/// <summary>One GET by HTTP/2 with whatever authority: HttpClient does not send those that are no hosts.</summary>
internal static class RawHttp2
{
    private const byte Data = 0;
    private const byte Headers = 1;
    private const byte Reset = 3;
    private const byte Settings = 4;
    private const byte GoAway = 7;

    /// <returns>The body of the answer, in UTF-8.</returns>
    /// <exception cref="IOException">The server reset the call.</exception>
    public static async Task<string> GetAsync(string host, int port, string authority, params (string Name, string Value)[] headers)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var client = new TcpClient();
        await client.ConnectAsync(host, port, limit.Token);
        await using var stream = client.GetStream();
        await stream.WriteAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray(), limit.Token);
        await WriteAsync(stream, Settings, 0, 0, [], limit.Token);
        (string Name, string Value)[] all = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", authority), .. headers];
        const byte endStreamAndHeaders = 5;
        await WriteAsync(stream, Headers, endStreamAndHeaders, 1, [.. all.SelectMany(static h => Literal(h.Name, h.Value))], limit.Token);

        var body = new MemoryStream();
        var head = new byte[9];
        while (true)
        {
            await stream.ReadExactlyAsync(head, limit.Token);
            var payload = new byte[(head[0] << 16) | (head[1] << 8) | head[2]];
            await stream.ReadExactlyAsync(payload, limit.Token);
            if (head[3] is Reset or GoAway)
            {
                throw new IOException($"The call was ended by frame {head[3]}.");
            }

            if (head[3] == Data)
            {
                body.Write(payload);
            }

            if (head[3] is Data or Headers && (head[4] & 1) != 0)
            {
                return Encoding.UTF8.GetString(body.ToArray());
            }
        }
    }

    // A literal that is not indexed, without Huffman coding; short texts only.
    private static byte[] Literal(string name, string value)
    {
        // Texts are UTF-8 in a target of grpc-go, and Latin-1 in headers of old.
        var bytes = (name == ":authority" ? Encoding.UTF8 : Encoding.Latin1).GetBytes(value);
        return [0, (byte)name.Length, .. Encoding.Latin1.GetBytes(name), (byte)bytes.Length, .. bytes];
    }

    private static async Task WriteAsync(Stream stream, byte type, byte flags, int streamId, byte[] payload, CancellationToken cancellationToken)
    {
        var head = new byte[9];
        (head[0], head[1], head[2], head[3], head[4]) = ((byte)(payload.Length >> 16), (byte)(payload.Length >> 8), (byte)payload.Length, type, flags);
        BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(5), streamId);
        await stream.WriteAsync(head, cancellationToken);
        await stream.WriteAsync(payload, cancellationToken);
    }
}
