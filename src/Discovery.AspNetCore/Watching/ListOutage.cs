using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Watching;

/// <summary>Whether services can be listed: said once when they cannot and once when they can again, however many they are.</summary>
internal sealed partial class ListOutage(TimeProvider time, ILogger logger)
{
    private readonly Lock _gate = new();
    private volatile Exception? _cause;
    private long _since;

    /// <summary>Why services cannot be listed, or null while they can.</summary>
    public Exception? Cause => _cause;

    /// <summary>A list failed.</summary>
    public void OnFailed(Exception cause)
    {
        lock (_gate)
        {
            if (_cause is null)
            {
                _since = time.GetTimestamp();
                Log.Began(logger, cause.Message);
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
                Log.Over(logger, time.GetElapsedTime(_since).TotalSeconds);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2141, LogLevel.Warning, "Services cannot be listed; it is tried until they can. {Cause}")]
        public static partial void Began(ILogger logger, string cause);

        [LoggerMessage(2142, LogLevel.Information, "Services can be listed again, after {Seconds:0.0} s.")]
        public static partial void Over(ILogger logger, double seconds);
    }
}
