using System.Net;

namespace Discovery.Etcd.DotnetEtcd.Tests.Support;

/// <summary>A request body that is written while the response is read already.</summary>
internal sealed class DuplexContent(Func<Stream, Task> writeAsync) : HttpContent
{
    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
    {
        await stream.FlushAsync();
        await writeAsync(stream);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
