using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Watching;

/// <summary>Whether services can be listed: said once when they cannot and once when they can again, however many they are.</summary>
internal sealed partial class ListOutage(TimeProvider time, ILogger logger)
{
    private readonly Lock _gate = new();
    private volatile Exception? _cause;
    private long _since;
    private LogLevel _level;
    private volatile bool _isKnown;

    /// <summary>Why services cannot be listed, or null while they can.</summary>
    public Exception? Cause => _cause;

    /// <summary>The watch cannot be opened, or works again. The client says that itself; then it is one outage, and lists are no news.</summary>
    public void OnWatch(bool works) => _isKnown = !works;

    /// <summary>A list failed.</summary>
    public void OnFailed(Exception cause)
    {
        lock (_gate)
        {
            if (_cause is null)
            {
                _since = time.GetTimestamp();
                _level = _isKnown ? LogLevel.Debug : LogLevel.Warning;
                Log.Began(logger, _level, cause.Message);
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
            if (_cause is not null)
            {
                _cause = null;
                var level = _level == LogLevel.Debug ? LogLevel.Debug : LogLevel.Information;
                var seconds = time.GetElapsedTime(_since).TotalSeconds;
                Log.Over(logger, level, seconds);
            }
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
