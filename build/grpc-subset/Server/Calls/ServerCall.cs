using System.Net.Sockets;
using Grpc.AspNetCore.Server.Messages;
using Grpc.Core;
using Grpc.Protocol;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Grpc.AspNetCore.Server.Calls;

/// <summary>A call on an HTTP request.</summary>
internal sealed partial class ServerCall(HttpContext httpContext, GrpcServiceOptions options, ILogger logger) : ServerCallContext
{
    private readonly CallDeadline? _deadline = CallDeadline.Start(httpContext, logger);
    private Metadata? _requestHeaders;
    private Metadata? _responseTrailers;
    private Status _status = Status.DefaultSuccess;

    public HttpContext HttpContext => httpContext;

    public GrpcServiceOptions Options => options;

    /// <summary>Whether the deadline has passed, so that nothing more can be sent.</summary>
    public bool DeadlinePassed => _deadline is { HasPassed: true };

    /// <summary>Cancelled when the client goes away; read once, for the HTTP context is not to be used from other threads.</summary>
    public CancellationToken RequestAborted { get; } = httpContext.RequestAborted;

    protected override string MethodCore => httpContext.Request.Path.Value!;

    protected override string HostCore => httpContext.Request.Host.Value!;

    protected override string PeerCore => httpContext.Connection switch
    {
        { RemoteIpAddress: { AddressFamily: AddressFamily.InterNetwork } ip, RemotePort: var port } => $"ipv4:{ip}:{port}",
        { RemoteIpAddress: { AddressFamily: AddressFamily.InterNetworkV6 } ip, RemotePort: var port } => $"ipv6:[{ip}]:{port}",
        _ => "unknown",
    };

    protected override DateTime DeadlineCore => _deadline?.Time ?? DateTime.MaxValue;

    protected override CancellationToken CancellationTokenCore => _deadline?.CancellationToken ?? RequestAborted;

    protected override Metadata RequestHeadersCore => _requestHeaders ??= RequestMetadata.Read(httpContext.Request.Headers);

    protected override Metadata ResponseTrailersCore => _responseTrailers ??= [];

    protected override Status StatusCore
    {
        get => DeadlinePassed ? CallDeadline.Exceeded : _status;
        set => _status = value;
    }

    protected override WriteOptions? WriteOptionsCore { get; set; }

    /// <summary>Ends the call with the status that the handler left.</summary>
    public async Task EndAsync()
    {
        using var deadline = _deadline;
        if (deadline is null || await deadline.TryStopAsync())
        {
            ResponseStatus.Write(httpContext.Response, Status, _responseTrailers);
        }
    }

    /// <summary>Ends the call after its handler threw.</summary>
    public Task EndAsync(Exception exception)
    {
        if (exception is RpcException rpc)
        {
            Log.Refused(logger, Method, rpc.StatusCode, rpc.Status.Detail, rpc.Status.DebugException);
            foreach (var entry in rpc.Trailers)
            {
                ResponseTrailers.Add(entry);
            }

            Status = rpc.Status;
            return EndAsync();
        }

        if (exception is OperationCanceledException or IOException && CancellationToken.IsCancellationRequested)
        {
            Log.Cancelled(logger, Method, exception);
        }
        else
        {
            Log.Failed(logger, Method, exception);
        }

        const string Detail = "Exception was thrown by handler.";
        Status = new Status(
            StatusCode.Unknown, options.EnableDetailedErrors == true ? $"{Detail} {MessageErrors.Describe(exception)}" : Detail, exception);
        return EndAsync();
    }

    /// <summary>Tells the client that the call is cancelled.</summary>
    public void Reset() => CallDeadline.Reset(httpContext);

    protected override async Task WriteResponseHeadersAsyncCore(Metadata responseHeaders)
    {
        ArgumentNullException.ThrowIfNull(responseHeaders);
        if (httpContext.Response.HasStarted)
        {
            throw new InvalidOperationException("Response headers can only be sent once per call.");
        }

        foreach (var entry in responseHeaders)
        {
            try
            {
                httpContext.Response.Headers.Append(entry.Key, GrpcHeaders.Format(entry));
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"Error adding response header '{entry.Key}'.", exception);
            }
        }

        await httpContext.Response.BodyWriter.FlushAsync();
    }

    private static partial class Log
    {
        [LoggerMessage(6, LogLevel.Error, "The handler of {Method} failed.")]
        public static partial void Failed(ILogger logger, string method, Exception exception);

        [LoggerMessage(7, LogLevel.Information, "The handler of {Method} ended with {StatusCode}: {Detail}")]
        public static partial void Refused(ILogger logger, string method, StatusCode statusCode, string detail, Exception? exception);

        [LoggerMessage(28, LogLevel.Information, "The handler of {Method} was cancelled.")]
        public static partial void Cancelled(ILogger logger, string method, Exception exception);
    }
}
