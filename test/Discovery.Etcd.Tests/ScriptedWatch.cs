using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;

namespace Discovery.Etcd.Tests;

/// <summary>The server's side of a watch stream.</summary>
internal sealed class ScriptedWatch(HttpContext http)
{
    private readonly GrpcFrameReader _reader = new(http.Request.Body);

    /// <summary>Serves a stream: creates are granted, progress is answered, and the test sees each request.</summary>
    public static Task ServeAsync(HttpContext http, Action<WatchRequest> onRequest, long revision = 10) => ServeAsync(http, onRequest, Header(revision));

    /// <summary>Serves a stream with this header on all answers.</summary>
    public static async Task ServeAsync(HttpContext http, Action<WatchRequest> onRequest, ResponseHeader header)
    {
        var watch = new ScriptedWatch(http);
        while (await watch.ReadAsync() is { } request)
        {
            onRequest(request);
            if (request.CreateRequest is { } create)
            {
                await watch.SendAsync(new WatchResponse { Header = header, Created = true, WatchId = create.WatchId });
            }
            else if (request.ProgressRequest is not null)
            {
                await watch.SendAsync(new WatchResponse { Header = header, WatchId = -1 });
            }
        }
    }

    public static ResponseHeader Header(long revision) => new() { Revision = revision, ClusterId = 1 };

    public static Event Put(string key, long revision) => new()
    {
        Kv = new KeyValue { Key = ByteString.CopyFromUtf8(key), ModRevision = revision, CreateRevision = revision, Version = 1 },
    };

    /// <summary>The next request; <see langword="null"/> when the client ended the stream.</summary>
    public async Task<WatchRequest?> ReadAsync()
    {
        try
        {
            return await _reader.ReadAsync(WatchRequest.Parser, http.RequestAborted);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>Reads up to the next create request.</summary>
    public async Task<WatchCreateRequest> ReadCreateAsync()
    {
        while (true)
        {
            var request = await ReadAsync() ?? throw new InvalidOperationException("The client ended the stream.");
            if (request.CreateRequest is { } create)
            {
                return create;
            }
        }
    }

    public async Task SendAsync(WatchResponse response)
    {
        if (!http.Response.HasStarted)
        {
            http.Response.ContentType = GrpcFraming.ContentType;
        }

        await http.Response.Body.WriteAsync(GrpcFraming.Frame(response));
        await http.Response.Body.FlushAsync();
    }

    /// <summary>Ends the stream in good order.</summary>
    public void End() => http.Response.AppendTrailer("grpc-status", "0");
}
