using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Diagnostics;

/// <summary>
/// Keeps one event from flooding the log where many instances come, go or fail in turn: so many lines a minute, and how many were left out
/// with the first one after. Thread-safe.
/// </summary>
internal sealed partial class LogLimit(TimeProvider time)
{
    /// <summary>How many lines of one event a service has a minute.</summary>
    public const int PerMinute = 20;

    private static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private long _begunAt;
    private int _written;
    private int _leftOut;

    /// <summary>Whether a line may be written. Before the first one after some that might not, their number is.</summary>
    /// <param name="logger">Where it is to be written.</param>
    /// <param name="service">The service that it is about.</param>
    public bool Allows(ILogger logger, string service)
    {
        int leftOut;
        lock (_gate)
        {
            if (_written == 0 || time.GetElapsedTime(_begunAt) >= Window)
            {
                (_begunAt, _written) = (time.GetTimestamp(), 0);
            }

            if (_written == PerMinute)
            {
                _leftOut++;
                return false;
            }

            _written++;
            (leftOut, _leftOut) = (_leftOut, 0);
        }

        if (leftOut > 0)
        {
            Log.LeftOut(logger, leftOut, service);
        }

        return true;
    }

    private static partial class Log
    {
        [LoggerMessage(2801, LogLevel.Information, "{Count} messages of service '{Service}' like the next one were left out: there were too many within a minute.")]
        public static partial void LeftOut(ILogger logger, int count, string service);
    }
}
