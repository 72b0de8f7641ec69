using System.Net;
using System.Net.Http.Headers;
using Grpc.Protocol;

namespace Grpc.Net.Client.Requests;

/// <summary>The body of a call with many requests: hands its stream to the writer and lasts until the writer is done.</summary>
internal sealed class MessageStreamContent : HttpContent
{
    private readonly TaskCompletionSource<Stream> _stream = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Completes synchronously, so that CompleteAsync returns after END_STREAM is on its way: a call disposed next would reset it.
    private readonly TaskCompletionSource _done = new();

    public MessageStreamContent() => Headers.ContentType = new MediaTypeHeaderValue(GrpcHeaders.ContentType);

    /// <summary>The stream, once the request has started.</summary>
    public Task<Stream> Stream => _stream.Task;

    public void Complete() => _done.TrySetResult();

    public void Cancel()
    {
        _stream.TrySetCanceled();
        _done.TrySetCanceled();
    }

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
    {
        // Sends the headers now: the server may answer before the first message.
        await stream.FlushAsync();
        _stream.TrySetResult(stream);
        await _done.Task;
    }

    protected override bool TryComputeLength(out long length)
    {
        length = -1;
        return false;
    }
}
