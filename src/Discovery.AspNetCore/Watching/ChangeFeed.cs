using System.Runtime.CompilerServices;

namespace Discovery.AspNetCore.Watching;

/// <summary>Hands the newest state to everybody who reads, waits or follows. Written by one loop, read by any thread.</summary>
internal class ChangeFeed<T>
    where T : class
{
    private volatile T? _current;
    private volatile TaskCompletionSource<bool> _changed = NewSignal();

    /// <summary>Raised after each new state, by the loop that publishes: handlers must be quick and not throw.</summary>
    public event Action<T>? Published;

    /// <summary>The newest state, or null before the first.</summary>
    public T? Current => _current;

    /// <summary>Publishes a state.</summary>
    public void Publish(T state)
    {
        _current = state;
        Published?.Invoke(state);
        Interlocked.Exchange(ref _changed, NewSignal()).TrySetResult(true);
    }

    /// <summary>Releases everybody who waits: nothing will be published any more.</summary>
    public void Close() => _changed.TrySetResult(false);

    /// <summary>Waits for the first state.</summary>
    /// <exception cref="ObjectDisposedException">The feed was closed before there was one.</exception>
    public async ValueTask<T> WaitForFirstAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            // Taken before the state is looked for, so that one published in between is not missed.
            var changed = _changed.Task;
            if (_current is { } state)
            {
                return state;
            }

            ObjectDisposedException.ThrowIf(!await changed.WaitAsync(cancellationToken).ConfigureAwait(false), typeof(IServiceDirectory));
        }
    }

    /// <summary>Waits for the first state, but no longer than a limit.</summary>
    /// <returns>The state, or <see langword="null"/> if there was none in time.</returns>
    /// <exception cref="ObjectDisposedException">The feed was closed before there was one.</exception>
    public async ValueTask<T?> WaitForFirstAsync(TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        if (_current is { } ready)
        {
            return ready;
        }

        using var timeout = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            return await WaitForFirstAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    /// <summary>The current state and each newer one, until the feed is closed; a slow reader skips some.</summary>
    public async IAsyncEnumerable<T> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        T? last = null;
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
