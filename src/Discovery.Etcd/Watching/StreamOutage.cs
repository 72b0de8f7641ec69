using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Watching;

/// <summary>For how long watches have been without a stream that works. Logs one line when that lasts, and one when it is over.</summary>
internal sealed partial class StreamOutage(EtcdOutage shared, TimeProvider time, ILogger logger)
{
    private long _since;
    private bool _isDown;
    private bool _isLasting;

    /// <summary>A stream broke or could not be opened.</summary>
    /// <returns>Whether there has been none for so long that readers have to help themselves.</returns>
    public bool Failed(string endpoint, string reason)
    {
        Log.StreamEnded(logger, endpoint, reason);
        if (!_isDown)
        {
            _isDown = true;
            _since = time.GetTimestamp();
        }

        if (!_isLasting && time.GetElapsedTime(_since) >= WatchTimings.Outage)
        {
            _isLasting = true;
            var level = shared.Began(this, _since);
            Log.OutageBegan(logger, level, endpoint, reason);
        }

        return _isLasting;
    }

    /// <summary>A stream works.</summary>
    /// <param name="endpoint">Where.</param>
    /// <param name="openedAt">Since when, as a timestamp.</param>
    public void Over(string endpoint, long openedAt)
    {
        if (_isLasting)
        {
            var (level, length) = shared.Over(this, openedAt);
            Log.OutageOver(logger, level, endpoint, length.TotalSeconds);
        }

        Forget();
    }

    /// <summary>No stream was needed meanwhile.</summary>
    public void Forget()
    {
        (_isDown, _isLasting) = (false, false);
        shared.Forget(this);
    }

    private static partial class Log
    {
        [LoggerMessage(1200, LogLevel.Debug, "The watch stream at {Endpoint} ended: {Reason}. It is opened again.")]
        public static partial void StreamEnded(ILogger logger, string endpoint, string reason);

        [LoggerMessage(EventId = 1201, Message = "The watch stream cannot be opened; what changes in etcd goes unseen. It is tried until it works. Last at {Endpoint}: {Reason}")]
        public static partial void OutageBegan(ILogger logger, LogLevel level, string endpoint, string reason);

        [LoggerMessage(EventId = 1202, Message = "The watch stream is open again, at {Endpoint}, after {Seconds:0.0} s.")]
        public static partial void OutageOver(ILogger logger, LogLevel level, string endpoint, double seconds);
    }
}
