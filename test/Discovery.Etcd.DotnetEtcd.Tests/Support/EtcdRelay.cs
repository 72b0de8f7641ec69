using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.DotnetEtcd.Tests.Support;

/// <summary>A gRPC proxy between a client and etcd, which can end streams in every way that such proxies do.</summary>
internal sealed class EtcdRelay : IAsyncDisposable
{
    private const string WatchPath = "/etcdserverpb.Watch/Watch";

    private static readonly string[] NotForwarded = ["host", "content-length", "transfer-encoding", "connection"];

    private readonly ConcurrentDictionary<WatchStream, bool> _open = new();
    private readonly HttpClient _client = new(new SocketsHttpHandler
    {
        SslOptions = { RemoteCertificateValidationCallback = (_, _, _, _) => true },
        EnableMultipleHttp2Connections = true,
    })
    { Timeout = Timeout.InfiniteTimeSpan };

    private readonly WebApplication _app;
    private int _watchesOpened;
    private byte[]? _refusal;

    private EtcdRelay(string upstream, X509Certificate2? certificate)
    {
        Upstream = upstream;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            // A client may say nothing for as long as it likes.
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Listen(IPAddress.Loopback, 0, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                if (certificate is not null)
                {
                    listen.UseHttps(certificate);
                }
            });
        });
        _app = builder.Build();
        _app.Run(ServeAsync);
    }

    /// <summary>The etcd behind it.</summary>
    public string Upstream { get; set; }

    /// <summary>Whether new watch streams end at once with the status Unavailable.</summary>
    public bool RefusesStreams { get; set; }

    /// <summary>How many watch streams it has opened to etcd.</summary>
    public int WatchesOpened => Volatile.Read(ref _watchesOpened);

    /// <summary>The headers of the last watch stream.</summary>
    public IReadOnlyDictionary<string, string> WatchHeaders { get; private set; } = new Dictionary<string, string>();

    public string Endpoint => _app.Urls.Single();

    public static async Task<EtcdRelay> StartAsync(string upstream, X509Certificate2? certificate)
    {
        var relay = new EtcdRelay(upstream, certificate);
        await relay._app.StartAsync();
        return relay;
    }

    /// <summary>Ends the open watch streams. Nothing that happens afterwards goes through them.</summary>
    public Task EndWatchesAsync(StreamEnding ending) => Task.WhenAll(_open.Keys.Select(stream =>
    {
        stream.Ending.TrySetResult(ending);
        return stream.Ended.Task;
    }));

    /// <summary>Lets the first watch of the next stream be refused, as etcd does.</summary>
    public void RefuseNextWatch(string reason) => _refusal = new Etcdserverpb.WatchResponse
    {
        Header = new Etcdserverpb.ResponseHeader(),
        WatchId = -1,
        Created = true,
        Canceled = true,
        CancelReason = reason,
    }.ToFrame();

    public async ValueTask DisposeAsync()
    {
        await EndWatchesAsync(StreamEnding.ByReset);
        using (var now = new CancellationTokenSource(TimeSpan.Zero))
        {
            await _app.StopAsync(now.Token);
        }

        await _app.DisposeAsync();
        _client.Dispose();
    }

    private async Task ServeAsync(HttpContext http)
    {
        try
        {
            await (http.Request.Path == WatchPath ? WatchAsync(http) : ForwardAsync(http));
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            http.Abort();
        }
    }

    private async Task ForwardAsync(HttpContext http)
    {
        using var request = RequestOf(http, to => http.Request.Body.CopyToAsync(to, http.RequestAborted));
        using var response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, http.RequestAborted);
        foreach (var header in response.Headers)
        {
            http.Response.Headers[header.Key] = header.Value.ToArray();
        }

        http.Response.ContentType = "application/grpc";
        await using var body = await response.Content.ReadAsStreamAsync(http.RequestAborted);
        await PumpAsync(body, http.Response.Body, http.RequestAborted);
        AppendTrailers(http, response.TrailingHeaders);
    }

    private async Task WatchAsync(HttpContext http)
    {
        WatchHeaders = http.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        http.Response.ContentType = "application/grpc";
        if (RefusesStreams)
        {
            http.Response.Headers.GrpcStatus = "14";
            return;
        }

        var stream = new WatchStream();
        _open[stream] = true;
        Interlocked.Increment(ref _watchesOpened);
        try
        {
            await http.Response.StartAsync();
            if (Interlocked.Exchange(ref _refusal, null) is { } refusal)
            {
                await Frames.SkipAsync(http.Request.Body, http.RequestAborted);
                await http.Response.Body.WriteAsync(refusal);
                await http.Response.Body.FlushAsync();
            }

            using var upstream = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
            var relaying = RelayAsync(http, upstream.Token);
            if (await Task.WhenAny(relaying, stream.Ending.Task) == stream.Ending.Task)
            {
                await upstream.CancelAsync();
                await relaying;
                stream.Ended.TrySetResult();
                await EndAsync(http, await stream.Ending.Task);
            }
        }
        finally
        {
            stream.Ended.TrySetResult();
            _open.TryRemove(stream, out _);
        }
    }

    private static async Task EndAsync(HttpContext http, StreamEnding ending)
    {
        switch (ending)
        {
            case StreamEnding.Cleanly:
                http.Response.AppendTrailer("grpc-status", "0");
                break;
            case StreamEnding.Unavailable:
                http.Response.AppendTrailer("grpc-status", "14");
                break;
            case StreamEnding.ByReset:
                http.Features.GetRequiredFeature<IHttpResetFeature>().Reset(8);
                break;
            case StreamEnding.Never:
                await Task.Delay(Timeout.InfiniteTimeSpan, http.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                break;
        }
    }

    private async Task RelayAsync(HttpContext http, CancellationToken cancellationToken)
    {
        try
        {
            using var request = RequestOf(http, to => PumpAsync(http.Request.Body, to, cancellationToken));
            using var response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            await PumpAsync(body, http.Response.Body, cancellationToken);
            AppendTrailers(http, response.Headers.Contains("grpc-status") ? response.Headers : response.TrailingHeaders);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            // Ended on purpose, or the client is gone, or etcd is.
            if (!cancellationToken.IsCancellationRequested)
            {
                http.Response.AppendTrailer("grpc-status", "14");
            }
        }
    }

    private HttpRequestMessage RequestOf(HttpContext http, Func<Stream, Task> writeAsync)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, Upstream + http.Request.Path)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new DuplexContent(writeAsync),
        };
        foreach (var (name, value) in http.Request.Headers.Where(h => !h.Key.StartsWith(':') && !NotForwarded.Contains(h.Key, StringComparer.OrdinalIgnoreCase)))
        {
            if (!request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)value))
            {
                request.Content.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)value);
            }
        }

        return request;
    }

    private static void AppendTrailers(HttpContext http, System.Net.Http.Headers.HttpHeaders trailers)
    {
        foreach (var trailer in trailers.Where(t => t.Key.StartsWith("grpc-", StringComparison.Ordinal)))
        {
            http.Response.AppendTrailer(trailer.Key, trailer.Value.ToArray());
        }
    }

    private static async Task PumpAsync(Stream from, Stream to, CancellationToken cancellationToken)
    {
        var buffer = new byte[16 * 1024];
        int read;
        while ((read = await from.ReadAsync(buffer, cancellationToken)) > 0)
        {
            await to.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
            await to.FlushAsync(cancellationToken);
        }
    }

    private sealed class WatchStream
    {
        public TaskCompletionSource<StreamEnding> Ending { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
