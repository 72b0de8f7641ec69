using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// Whether services can be listed: said once when they cannot and once when they can again, however many they are, and only at debug level
/// where the watch or the registration says it.
/// </summary>
internal sealed partial class ListOutage(Lazy<EtcdOutage> shared, TimeProvider time, ILogger logger)
{
    private readonly Lock _gate = new();
    private volatile Exception? _cause;
    private bool _isWatchDown;

    /// <summary>Why services cannot be listed, or null while they can.</summary>
    public Exception? Cause => _cause;

    /// <summary>The watch cannot be opened, or works again. Then etcd is back, though the next regular list may be a while away.</summary>
    public void OnWatch(bool works)
    {
        lock (_gate)
        {
            var isBack = works && _isWatchDown;
            _isWatchDown = !works;
            if (isBack)
            {
                EndLockHeld();
            }
        }
    }

    /// <summary>A list failed.</summary>
    public void OnFailed(Exception cause)
    {
        lock (_gate)
        {
            if (_cause is null)
            {
                var level = shared.Value.Began(this, time.GetTimestamp());
                Log.Began(logger, level, cause.Message);
            }

            _cause = cause;
        }
    }

    /// <summary>A list was answered.</summary>
    public void OnListed()
    {
        if (_cause is null)
        {
            return;
        }

        lock (_gate)
        {
            EndLockHeld();
        }
    }

    private void EndLockHeld()
    {
        if (_cause is not null)
        {
            _cause = null;
            var (level, length) = shared.Value.Over(this, time.GetTimestamp());
            Log.Over(logger, level, length.TotalSeconds);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(EventId = 2141, Message = "Services cannot be listed; it is tried until they can. {Cause}")]
        public static partial void Began(ILogger logger, LogLevel level, string cause);

        [LoggerMessage(EventId = 2142, Message = "Services can be listed again, after {Seconds:0.0} s.")]
        public static partial void Over(ILogger logger, LogLevel level, double seconds);
    }
}
