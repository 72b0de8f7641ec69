namespace Discovery.EmbeddedEtcd.Server;

/// <summary>Open, or closed for everything that passes through it.</summary>
internal sealed class PauseGate
{
    private readonly Lock _gate = new();
    private TaskCompletionSource? _closed;

    public bool IsClosed => Volatile.Read(ref _closed) is not null;

    public void Close()
    {
        lock (_gate)
        {
            _closed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    public void Open()
    {
        lock (_gate)
        {
            _closed?.SetResult();
            _closed = null;
        }
    }

    /// <summary>Waits until the gate is open, or the connection is of no use any more.</summary>
    public async ValueTask WaitAsync(CancellationToken connectionClosed)
    {
        while (Volatile.Read(ref _closed) is { } closed && !connectionClosed.IsCancellationRequested)
        {
            await closed.Task.WaitAsync(connectionClosed).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
