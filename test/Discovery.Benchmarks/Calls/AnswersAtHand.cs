using System.Net;
using System.Runtime.CompilerServices;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Pools;

namespace Discovery.Benchmarks.Calls;

/// <summary>
/// Stands in for connections where only the handlers above them are measured: each call is answered asynchronously, by the thread that made it, when
/// it says so.
/// </summary>
internal sealed class AnswersAtHand(CannedConnection.Answer answer) : HttpMessageHandler
{
    private static readonly byte[] Message = new byte[5];

    private TaskCompletionSource<HttpResponseMessage>? _asked;
    private HttpRequestMessage? _request;

    /// <summary>Has the calls to a service's one instance end here.</summary>
    /// <returns>What calls by no handler go through.</returns>
    public async Task<HttpMessageInvoker> TakeTheCallsOfAsync(ServicePool pool)
    {
        await pool.WaitForInstanceAsync(CancellationToken.None);
        return InvokerOf(pool.Current!.Instances.Single().Transport!) = new HttpMessageInvoker(this);
    }

    /// <summary>Answers the call that waits, if one does.</summary>
    public void TryAnswer()
    {
        if (Interlocked.Exchange(ref _asked, null) is not { } asked)
        {
            return;
        }

        var response = new HttpResponseMessage(HttpStatusCode.OK) { RequestMessage = _request, Version = _request!.Version, Content = new Body(answer) };
        response.Headers.TryAddWithoutValidation("Server", "memory");
        if (answer == CannedConnection.Answer.Grpc)
        {
            response.Content.Headers.TryAddWithoutValidation("Content-Type", "application/grpc");
            response.TrailingHeaders.TryAddWithoutValidation("grpc-status", "0");
        }
        else if (answer == CannedConnection.Answer.Empty)
        {
            response.Content.Headers.TryAddWithoutValidation("Content-Length", "0");
        }

        asked.SetResult(response);
    }

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var asked = new TaskCompletionSource<HttpResponseMessage>();
        _request = request;
        Volatile.Write(ref _asked, asked);
        return asked.Task;
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_invoker")]
    private static extern ref HttpMessageInvoker? InvokerOf(InstanceTransport transport);

    private sealed class Body(CannedConnection.Answer answer) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => throw new NotSupportedException();

        protected override Stream CreateContentReadStream(CancellationToken cancellationToken)
            => new MemoryStream(answer == CannedConnection.Answer.Empty ? [] : Message, writable: false);

        protected override Task<Stream> CreateContentReadStreamAsync() => Task.FromResult(CreateContentReadStream(CancellationToken.None));

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
