using Discovery.Etcd;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// Why a prefix that is followed cannot be read now. What etcd refuses is logged when it begins, since it lasts until somebody changes a role or
/// a setting; that etcd is away is told to those who wait.
/// </summary>
internal sealed partial class FollowProblem(string prefix, ILogger logger)
{
    private const string Watch = "Watch";

    private volatile Exception? _current;
    private bool _isRefused;

    /// <summary>The problem; null when there is none. May be read by any thread.</summary>
    public Exception? Current => _current;

    /// <summary>For <see cref="EtcdFollowOptions.OnStatusChanged"/>.</summary>
    public void OnStatusChanged(EtcdFollowStatus status)
    {
        var error = IsOfWatchAlone(status) ? null : status.Error;
        _current = error;
        if (error is null)
        {
            _isRefused = false;
        }
        else if (!_isRefused && IsRefusal(error))
        {
            _isRefused = true;
            Log.Refused(logger, prefix, error.Message);
        }
    }

    /// <summary>Following ended with an exception.</summary>
    public void OnFailed(Exception cause) => _current = cause;

    private static bool IsRefusal(EtcdException error) => error.StatusCode is not (StatusCode.Unavailable or StatusCode.DeadlineExceeded);

    /// <summary>
    /// Whether the prefix can be read all the same, as far as is known: it was listed before it was watched, and is listed every few seconds now. The
    /// client warns of a watch that is refused.
    /// </summary>
    private static bool IsOfWatchAlone(EtcdFollowStatus status)
        => status.Kind == EtcdFollowStatusKind.Polling || (status.Error is { Operation: Watch } error && IsRefusal(error));

    private static partial class Log
    {
        [LoggerMessage(2163, LogLevel.Warning, "What is registered under '{Root}' cannot be read; it is tried again until it can. {Reason}")]
        public static partial void Refused(ILogger logger, string root, string reason);
    }
}
