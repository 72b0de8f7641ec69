using System.Collections.Concurrent;
using System.Diagnostics;

namespace Discovery.Benchmarks.Changes;

/// <summary>When each thing was seen first, by one observer.</summary>
internal sealed class Sightings
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, TaskCompletionSource<long>> _byName = new(StringComparer.Ordinal);

    /// <summary>It was seen, now; only the first time counts.</summary>
    public void Saw(string name) => Of(name).TrySetResult(Stopwatch.GetTimestamp());

    /// <summary>Waits until it was seen.</summary>
    /// <returns>Milliseconds from a timestamp until then.</returns>
    public async Task<double> WaitAsync(string name, long since)
        => Stopwatch.GetElapsedTime(since, await Of(name).Task.WaitAsync(Limit)).TotalMilliseconds;

    private TaskCompletionSource<long> Of(string name)
        => _byName.GetOrAdd(name, static _ => new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously));
}
