using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Watching;

/// <summary>
/// Keeps what happens to all watches of a client at once, such as a compaction, from being a line for each of them: within a while the first
/// ones with a cause are logged, and the others are counted. Used on the event loop.
/// </summary>
internal sealed partial class RepeatedLines(EventLoop loop, TimeProvider time, ILogger logger, CancellationToken shutdown)
{
    public static readonly TimeSpan Window = TimeSpan.FromSeconds(10);

    private readonly Dictionary<string, int> _seen = new(StringComparer.Ordinal);

    /// <summary>Whether the line is to be written; else it is counted.</summary>
    /// <param name="cause">What the lines have in common, as a clause.</param>
    /// <param name="lines">How many of them are written.</param>
    public bool Allows(string cause, int lines = 1)
    {
        var seen = _seen[cause] = _seen.GetValueOrDefault(cause) + 1;
        if (seen == 1)
        {
            _ = Detached.Run(() => EndWindowAsync(cause, lines));
        }

        return seen <= lines;
    }

    private async Task EndWindowAsync(string cause, int lines)
    {
        await Task.Delay(Window, time, shutdown).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (shutdown.IsCancellationRequested)
        {
            return;
        }

        loop.Post(() =>
        {
            if (_seen.Remove(cause, out var seen) && seen > lines)
            {
                Log.More(logger, seen - lines, cause);
            }
        });
    }

    private static partial class Log
    {
        [LoggerMessage(1213, LogLevel.Information, "The same happened to {Count} more watches: {Cause}.")]
        public static partial void More(ILogger logger, int count, string cause);
    }
}
