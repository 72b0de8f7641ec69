using System.Net;
using System.Net.Http.Headers;

namespace Grpc.Subset.Tests;

/// <summary>Answers every request with the same response or failure, and keeps the last request.</summary>
public sealed class StubHandler(Func<HttpResponseMessage> respond) : HttpMessageHandler
{
    public HttpRequestMessage? Request { get; private set; }

    public bool Disposed { get; private set; }

    /// <summary>A response as a gRPC server sends it, with a body of these bytes.</summary>
    public static HttpResponseMessage Grpc(params byte[] body)
    {
        var response = new HttpResponseMessage(HttpStatusCode.OK)
        {
            Version = HttpVersion.Version20,
            Content = new ByteArrayContent(body),
        };
        response.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        return response;
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        Request = request;
        await request.Content!.CopyToAsync(Stream.Null, cancellationToken);
        return respond();
    }

    protected override void Dispose(bool disposing)
    {
        Disposed = true;
        base.Dispose(disposing);
    }
}
