using System.Runtime.CompilerServices;

namespace Discovery.AspNetCore.Watching;

/// <summary>Hands the newest snapshot of a service to everybody who reads, waits or follows. Written by one loop, read by any thread.</summary>
internal sealed class SnapshotFeed
{
    private volatile ServiceSnapshot? _current;
    private volatile TaskCompletionSource<bool> _changed = NewSignal();

    /// <summary>Raised after each new snapshot, by the loop that publishes: handlers must be quick and not throw.</summary>
    public event Action<ServiceSnapshot>? Published;

    /// <summary>The newest snapshot, or null before the first.</summary>
    public ServiceSnapshot? Current => _current;

    /// <summary>Publishes a snapshot.</summary>
    public void Publish(ServiceSnapshot snapshot)
    {
        _current = snapshot;
        Published?.Invoke(snapshot);
        Interlocked.Exchange(ref _changed, NewSignal()).TrySetResult(true);
    }

    /// <summary>Releases everybody who waits: nothing will be published any more.</summary>
    public void Close() => _changed.TrySetResult(false);

    /// <summary>Waits for the first snapshot.</summary>
    /// <exception cref="ObjectDisposedException">The feed was closed before there was one.</exception>
    public async ValueTask<ServiceSnapshot> WaitForFirstAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            // Taken before the snapshot is looked for, so that one published in between is not missed.
            var changed = _changed.Task;
            if (_current is { } snapshot)
            {
                return snapshot;
            }

            ObjectDisposedException.ThrowIf(!await changed.WaitAsync(cancellationToken).ConfigureAwait(false), typeof(IServiceDirectory));
        }
    }

    /// <summary>The current snapshot and each newer one, until the feed is closed; a slow reader skips some.</summary>
    public async IAsyncEnumerable<ServiceSnapshot> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ServiceSnapshot? last = null;
        while (true)
        {
            var changed = _changed.Task;
            var current = _current;
            if (current is not null && current != last)
            {
                last = current;
                yield return current;
            }

            if (!await changed.WaitAsync(cancellationToken).ConfigureAwait(false))
            {
                yield break;
            }
        }
    }

    private static TaskCompletionSource<bool> NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
