using Grpc.Core;
using Grpc.Protocol;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Grpc.AspNetCore.Server.Calls;

/// <summary>
/// The deadline of a call. When it passes, the client gets its status at once, the stream is reset and the handler is cancelled;
/// whichever comes first, the deadline or the end of the handler, writes the status.
/// </summary>
internal sealed partial class CallDeadline : IDisposable
{
    /// <summary>The status of a call that took too long.</summary>
    public static readonly Status Exceeded = new(StatusCode.DeadlineExceeded, "Deadline Exceeded");

    // HTTP/2's CANCEL.
    private const int Cancel = 0x8;

    private readonly HttpContext _httpContext;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _cancellation;
    private readonly TaskCompletionSource _handled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly DeadlineTimer _timer;
    private int _decided;
    private volatile bool _hasPassed;

    private CallDeadline(HttpContext httpContext, TimeSpan timeout, ILogger logger)
    {
        _httpContext = httpContext;
        _logger = logger;
        _cancellation = CancellationTokenSource.CreateLinkedTokenSource(httpContext.RequestAborted);
        Time = TimeProvider.System.GetUtcNow().UtcDateTime + timeout;
        _timer = new DeadlineTimer(Time, () => _ = PassAsync());
    }

    public DateTime Time { get; }

    public bool HasPassed => _hasPassed;

    public CancellationToken CancellationToken => _cancellation.Token;

    /// <summary>Starts the deadline that the request asks for; null where it asks for none.</summary>
    public static CallDeadline? Start(HttpContext httpContext, ILogger logger)
    {
        if (!httpContext.Request.Headers.TryGetValue(GrpcHeaders.Timeout, out var value))
        {
            return null;
        }

        if (!GrpcTimeout.TryParse(value, out var timeout) || timeout <= TimeSpan.Zero)
        {
            Log.Ignored(logger, value.ToString());
            return null;
        }

        return new CallDeadline(httpContext, timeout < GrpcTimeout.Max ? timeout : GrpcTimeout.Max, logger);
    }

    public static void Reset(HttpContext httpContext)
    {
        if (httpContext.Features.Get<IHttpResetFeature>() is { } reset)
        {
            reset.Reset(Cancel);
        }
        else
        {
            httpContext.Abort();
        }
    }

    /// <summary>Stops the deadline; false when it has passed, and then its status has been sent.</summary>
    public async Task<bool> TryStopAsync()
    {
        var first = Interlocked.Exchange(ref _decided, 1) == 0;
        if (!first)
        {
            await _handled.Task;
        }

        return first;
    }

    public void Dispose()
    {
        _timer.Dispose();
        _cancellation.Dispose();
    }

    private async Task PassAsync()
    {
        if (Interlocked.Exchange(ref _decided, 1) != 0)
        {
            return;
        }

        _hasPassed = true;
        try
        {
            ResponseStatus.Write(_httpContext.Response, Exceeded);
            if (_httpContext.Features.Get<IHttpResponseBodyFeature>() is { } body)
            {
                await body.CompleteAsync();
            }

            Reset(_httpContext);
            await _cancellation.CancelAsync();
        }
        catch (Exception exception)
        {
            // A timer has nobody to throw to.
            Log.Failed(_logger, exception);
        }
        finally
        {
            _handled.TrySetResult();
        }
    }

    private static partial class Log
    {
        [LoggerMessage(5, LogLevel.Debug, "The grpc-timeout '{Value}' is not valid and is ignored; a valid one is '5S'.")]
        public static partial void Ignored(ILogger logger, string value);

        [LoggerMessage(9, LogLevel.Error, "A call whose deadline passed could not be cancelled.")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
