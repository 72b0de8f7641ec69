namespace Discovery.AspNetCore.Watching;

/// <summary>The wait of a loop that follows one task and has other things to do on time.</summary>
internal static class TimedWait
{
    /// <summary>
    /// Waits until a task has ended, well or not, or a while has passed, or the waiting was ended. Ended not by an exception: an application has
    /// a loop for each service, and when it stops thousands of exceptions take longer than all else.
    /// </summary>
    /// <param name="task">The task.</param>
    /// <param name="limit">How long; <see langword="null"/> for as long as the task takes.</param>
    /// <param name="time">The clock.</param>
    /// <param name="stop">Ends the waiting.</param>
    public static async Task UntilAsync(Task task, TimeSpan? limit, TimeProvider time, CancellationToken stop)
    {
        if (!task.IsCompleted && (limit is null || limit > TimeSpan.Zero))
        {
            // A delay counts whole milliseconds and drops the rest: without rounding up, the last part of one would be a busy loop.
            var delay = limit is { } l ? TimeSpan.FromMilliseconds(Math.Ceiling(l.TotalMilliseconds)) : Timeout.InfiniteTimeSpan;
            await task.WaitAsync(delay, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
