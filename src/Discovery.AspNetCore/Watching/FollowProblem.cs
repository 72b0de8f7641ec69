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
    private volatile Exception? _current;
    private bool _isRefused;

    /// <summary>The problem; null when there is none. May be read by any thread.</summary>
    public Exception? Current => _current;

    /// <summary>For <see cref="EtcdFollowOptions.OnStatusChanged"/>.</summary>
    public void OnStatusChanged(EtcdFollowStatus status)
    {
        _current = status.Error;
        if (status.Error is not { } error)
        {
            _isRefused = false;
        }
        else if (!_isRefused && error.StatusCode is not (StatusCode.Unavailable or StatusCode.DeadlineExceeded))
        {
            _isRefused = true;
            Log.Refused(logger, prefix, error.Message);
        }
    }

    /// <summary>Following ended with an exception.</summary>
    public void OnFailed(Exception cause) => _current = cause;

    private static partial class Log
    {
        [LoggerMessage(2163, LogLevel.Warning, "What is registered under '{Root}' cannot be read; it is tried again until it can. {Reason}")]
        public static partial void Refused(ILogger logger, string root, string reason);
    }
}
