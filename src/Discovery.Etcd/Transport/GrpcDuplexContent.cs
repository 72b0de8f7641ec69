using System.Net;
using System.Threading.Channels;
using Google.Protobuf;

namespace Discovery.Etcd.Transport;

/// <summary>A request body that sends messages as they are queued, until the queue is completed.</summary>
internal sealed class GrpcDuplexContent<T>(ChannelReader<T> messages) : HttpContent
    where T : IMessage<T>
{
    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        await foreach (var message in messages.ReadAllAsync(cancellationToken))
        {
            await stream.WriteAsync(GrpcFraming.Frame(message), cancellationToken);
            await stream.FlushAsync(cancellationToken);
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
