using System.Collections.Concurrent;

namespace Discovery.FieldTests.Support;

/// <summary>A thread with a synchronization context that runs everything posted to it on that thread.</summary>
internal static class SingleThread
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    /// <summary>Runs a function that blocks the thread.</summary>
    /// <exception cref="TimeoutException">It never returned.</exception>
    public static async Task<T> RunAsync<T>(Func<T> function)
    {
        var result = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            SynchronizationContext.SetSynchronizationContext(new QueueContext());
            try
            {
                result.SetResult(function());
            }
            catch (Exception e)
            {
                result.SetException(e);
            }
        })
        { IsBackground = true };
        thread.Start();
        return await result.Task.WaitAsync(Limit);
    }

    /// <summary>Nobody takes from the queue while the thread is blocked, as nobody draws a window then.</summary>
    private sealed class QueueContext : SynchronizationContext
    {
        private readonly ConcurrentQueue<(SendOrPostCallback, object?)> _posted = new();

        public override void Post(SendOrPostCallback d, object? state) => _posted.Enqueue((d, state));

        public override SynchronizationContext CreateCopy() => this;
    }
}
