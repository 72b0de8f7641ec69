namespace Discovery.AspNetCore.Pools;

/// <summary>
/// The wait for the first instance of a service, which is usual where applications start together. Once it was in vain, calls fail at
/// once, or thousands would stand in line, until something about the service changes.
/// </summary>
internal sealed class FirstInstance
{
    private readonly TaskCompletionSource _seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _isAwaited = true;

    /// <summary>Whether calls are to wait.</summary>
    public bool IsAwaited => _isAwaited;

    /// <summary>Why the service could not be listed, if that was it.</summary>
    public ServiceDiscoveryException? Failure { get; private set; }

    /// <summary>The service is known to stand otherwise than before.</summary>
    public void OnChanged(bool hasInstances)
    {
        if (hasInstances)
        {
            _isAwaited = false;
            _seen.TrySetResult();
        }
        else if (!_seen.Task.IsCompleted)
        {
            _isAwaited = true;
        }
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
    public async ValueTask WaitAsync(TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
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
