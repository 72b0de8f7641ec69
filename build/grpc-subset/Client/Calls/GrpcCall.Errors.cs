using Grpc.Core;
using Grpc.Net.Client.Responses;
using Microsoft.Extensions.Logging;

namespace Grpc.Net.Client.Calls;

internal abstract partial class GrpcCall
{
    protected const string StartError = "Error starting gRPC call.";

    /// <summary>Creates what a call throws that ended with this status.</summary>
    public RpcException ToException(Status status)
    {
        try
        {
            return new RpcException(status, FindTrailers() ?? Metadata.Empty);
        }
        catch (Exception malformed)
        {
            // The status matters more than trailers that cannot be read.
            Log.TrailersUnreadable(Channel.Logger, malformed);
            return new RpcException(status);
        }
    }

    /// <summary>Creates what a call throws that was cancelled here.</summary>
    public Exception ToException(OperationCanceledException reported)
        => Channel.ThrowOperationCanceled ? reported : ToException(StatusOr(reported));

    /// <summary>Creates what a call throws that was cancelled, here or there.</summary>
    public Exception ToCancelledException(Status status)
        => Channel.ThrowOperationCanceled && status.StatusCode is StatusCode.Cancelled or StatusCode.DeadlineExceeded
            ? new OperationCanceledException()
            : ToException(status);

    /// <summary>Gets the status and the exception to throw for a failure; the exception is the same where it needs no change.</summary>
    public (Status Status, Exception Exception) Resolve(string summary, Exception failure)
    {
        if (failure is OperationCanceledException cancelled)
        {
            var reported = WithCallersToken(cancelled, CancellationToken.None);
            return (StatusOr(reported), ToException(reported));
        }

        if (failure is RpcException rpc)
        {
            return (rpc.Status, _trailers is null || rpc.Trailers == _trailers ? rpc : ToException(rpc.Status));
        }

        var mapped = (Channel.ConnectsItself ? TransportErrors.ToConnectStatus(failure) : null) ?? TransportErrors.ToStatus(summary, failure);
        if (mapped.StatusCode == StatusCode.Cancelled && _options.Deadline <= TimeProvider.System.GetUtcNow().UtcDateTime)
        {
            // The server's clock was first: it reset the stream at the deadline.
            mapped = new Status(StatusCode.DeadlineExceeded, mapped.Detail, mapped.DebugException);
        }

        return (mapped, ToException(mapped));
    }

    /// <summary>Gives a cancellation the token of the caller, who knows no other.</summary>
    public OperationCanceledException WithCallersToken(OperationCanceledException cancelled, CancellationToken ofOperation)
    {
        var token = GetCancelledToken(ofOperation);
        return token == CancellationToken ? cancelled : new OperationCanceledException(cancelled.Message, cancelled, token);
    }

    /// <summary>Gets the token that cancelled the call: the caller's before its own; none where nothing here did.</summary>
    public CancellationToken GetCancelledToken(CancellationToken ofOperation)
    {
        if (ofOperation.IsCancellationRequested)
        {
            return ofOperation;
        }

        var ofCall = _options.CancellationToken.IsCancellationRequested ? _options.CancellationToken : CancellationToken;
        return ofCall.IsCancellationRequested ? ofCall : CancellationToken.None;
    }

    /// <summary>Ends the call after a failure and gets what to throw for it.</summary>
    protected Exception Fail(Exception failure)
    {
        var (status, exception) = Resolve(StartError, failure);
        _responseSource.TrySetException(exception);
        Observe(_responseSource.Task);
        Close(status);
        return exception;
    }

    protected void LogEnd(Status status)
    {
        if (status.StatusCode != StatusCode.OK)
        {
            Log.Failed(Channel.Logger, _method.FullName, status.StatusCode, status.Detail, status.DebugException);
        }
    }

    /// <summary>Keeps a failure that nobody may await from being reported as unobserved.</summary>
    protected static void Observe(Task task)
        => _ = task.ContinueWith(
            static failed => _ = failed.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);

    private async Task<Metadata> GetResponseHeadersAsync()
    {
        var response = await _responseSource.Task;
        try
        {
            return ResponseHead.ToMetadata(response.Headers);
        }
        catch (Exception malformed)
        {
            throw Resolve(StartError, malformed).Exception;
        }
    }

    private Status StatusOr(OperationCanceledException reported)
        => Completion.IsCompletedSuccessfully ? Completion.Result : new Status(StatusCode.Cancelled, "", reported);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Debug, "Call to {Uri} starts.")]
        public static partial void Starting(ILogger logger, Uri? uri);

        [LoggerMessage(3, LogLevel.Information, "Call of {Method} ended with {StatusCode}: {Detail}")]
        public static partial void Failed(ILogger logger, string method, StatusCode statusCode, string detail, Exception? exception);

        [LoggerMessage(26, LogLevel.Error, "The trailers of a call cannot be read.")]
        public static partial void TrailersUnreadable(ILogger logger, Exception exception);
    }
}
