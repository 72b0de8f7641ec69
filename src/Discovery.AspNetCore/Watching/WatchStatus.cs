namespace Discovery.AspNetCore.Watching;

/// <summary>How a watcher stands with etcd. Written by its loop, read by any thread.</summary>
internal sealed class WatchStatus(TimeProvider time)
{
    private volatile bool _isConnected;
    private volatile Exception? _lastError;
    private bool _isPastWatch;
    private long _confirmedAt;

    /// <summary>Whether changes arrive.</summary>
    public bool IsConnected => _isConnected;

    /// <summary>Whether watches cannot be opened, so that lists stand in. Of the loop only.</summary>
    public bool ListsInstead { get; private set; }

    /// <summary>
    /// Whether the watch has to begin anew: a list that stood in may be of a later history than what the watch brings from where it broke off.
    /// Of the loop only.
    /// </summary>
    public bool IsWatchOutdated => _isPastWatch && _isConnected;

    /// <summary>What failed last, unless etcd was heard since.</summary>
    public Exception? LastError => _lastError;

    /// <summary>How long ago etcd was heard; <see langword="null"/> if never.</summary>
    public TimeSpan? Age => Interlocked.Read(ref _confirmedAt) is not 0 and var at ? time.GetElapsedTime(at) : null;

    /// <summary>The watch is open.</summary>
    public void OnOpened() => (_isConnected, ListsInstead) = (true, false);

    /// <summary>The watch broke or was refused; it is opened again.</summary>
    public void OnInterrupted(Exception? error) => (_isConnected, _lastError) = (false, error);

    /// <summary>The watch cannot be opened for now.</summary>
    public void OnUnavailable(Exception? error) => (_isConnected, ListsInstead, _lastError) = (false, true, error);

    /// <summary>A list that stood in was applied.</summary>
    public void OnListedInstead() => _isPastWatch = true;

    /// <summary>The watch ended, or begins anew.</summary>
    public void OnEnded() => (_isConnected, ListsInstead, _isPastWatch) = (false, false, false);

    /// <summary>Something failed; whether changes arrive is not touched.</summary>
    public void OnFailed(Exception? error) => _lastError = error;

    /// <summary>etcd was heard.</summary>
    public void OnConfirmed()
    {
        Interlocked.Exchange(ref _confirmedAt, Math.Max(1, time.GetTimestamp()));
        _lastError = null;
    }
}
