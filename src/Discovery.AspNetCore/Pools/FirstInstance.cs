namespace Discovery.AspNetCore.Pools;

/// <summary>
/// The wait for the first instance of a service, which is usual where applications start together. Once it was in vain, calls fail at
/// once, or thousands would stand in line, until something about the service changes.
/// </summary>
/// <remarks>
/// Each endpoint of an application has a key of its own, and they do not come at once: for a moment a service may have its gRPC port alone.
/// So a call that the first instances cannot take waits a little for others.
/// </remarks>
internal sealed class FirstInstance(TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _isAwaited = true;
    private bool _wasMissing;
    private int _isBegun;
    private long _seenAt;
    private TaskCompletionSource? _others;

    /// <summary>Whether calls are to wait.</summary>
    public bool IsAwaited => _isAwaited;

    /// <summary>Why the service could not be listed, if that was it.</summary>
    public ServiceDiscoveryException? Failure { get; private set; }

    /// <summary>The service is known to stand otherwise than before.</summary>
    public void OnChanged(bool hasInstances)
    {
        if (hasInstances)
        {
            ExpectOthers();
            _isAwaited = false;
            _seen.TrySetResult();
        }
        else if (!_seen.Task.IsCompleted)
        {
            Volatile.Write(ref _isBegun, 0);
            _wasMissing = true;
            _isAwaited = true;
        }
    }

    /// <summary>Whether no call has waited since the last change; asked once by each.</summary>
    public bool TryBegin() => Interlocked.Exchange(ref _isBegun, 1) == 0;

    /// <summary>Waits for a further change while the first instance is new.</summary>
    /// <param name="limit">For how long it is new.</param>
    /// <param name="isChanged">Whether there was a change already.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>Whether there is a change.</returns>
    public async ValueTask<bool> WaitForOthersAsync(TimeSpan limit, Func<bool> isChanged, CancellationToken cancellationToken)
    {
        TaskCompletionSource? others;
        TimeSpan left;
        lock (_gate)
        {
            (others, left) = (_others, limit - time.GetElapsedTime(_seenAt));
        }

        if (others is null || left <= TimeSpan.Zero)
        {
            return false;
        }

        if (isChanged())
        {
            return true;
        }

        try
        {
            await others.Task.WaitAsync(left, time, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private void ExpectOthers()
    {
        TaskCompletionSource? before;
        lock (_gate)
        {
            if (_others is null && (!_wasMissing || _seen.Task.IsCompleted))
            {
                // It was there when this client came, and so are its others.
                return;
            }

            before = _others;
            _seenAt = before is null ? time.GetTimestamp() : _seenAt;
            _others = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        before?.TrySetResult();
    }

    /// <summary>The service could not be listed; calls get this error until that changes.</summary>
    public void GiveUp(ServiceDiscoveryException failure)
    {
        Failure = failure;
        _isAwaited = false;
    }

    /// <summary>Nothing will change any more.</summary>
    public void Close()
    {
        _isAwaited = false;
        _seen.TrySetResult();
    }

    /// <summary>Waits until there is an instance, at most for so long.</summary>
    public async ValueTask WaitAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        try
        {
            await _seen.Task.WaitAsync(limit, time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            _isAwaited = false;
        }
    }
}
