namespace Discovery.Etcd;

/// <summary>Runs what it is given, one after another, on whichever thread. State that only its work touches needs no lock.</summary>
internal sealed class EventLoop : IThreadPoolWorkItem
{
    private readonly Action<Exception> _onFailure;
    private readonly Lock _gate = new();
    private readonly Queue<Action> _work = new();
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isRunning;
    private bool _isComplete;

    /// <param name="onFailure">Called on the loop with what a piece of work threw. The loop goes on.</param>
    public EventLoop(Action<Exception> onFailure) => _onFailure = onFailure;

    /// <summary>Ends when all work is done that was given before <see cref="Complete"/>.</summary>
    public Task Completion => _completion.Task;

    /// <summary>Queues work; from any thread, and never run by the caller.</summary>
    /// <returns>Whether it will run; not after <see cref="Complete"/>.</returns>
    public bool Post(Action work) => Add(work, byCaller: false);

    /// <summary>
    /// Has work done by the caller, at once, unless other work is being done: another thread would have to be woken first. For callers that hold
    /// no lock, and that may be kept by what others give meanwhile.
    /// </summary>
    /// <returns>Whether it will run, or has; not after <see cref="Complete"/>.</returns>
    public bool Run(Action work) => Add(work, byCaller: true);

    /// <summary>Takes no more work.</summary>
    public void Complete()
    {
        lock (_gate)
        {
            _isComplete = true;
            if (!_isRunning)
            {
                _completion.TrySetResult();
            }
        }
    }

    void IThreadPoolWorkItem.Execute() => RunAll();

    private bool Add(Action work, bool byCaller)
    {
        lock (_gate)
        {
            if (_isComplete)
            {
                return false;
            }

            _work.Enqueue(work);
            if (_isRunning)
            {
                return true;
            }

            _isRunning = true;
        }

        if (byCaller)
        {
            RunAll();
        }
        else
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }

        return true;
    }

    private void RunAll()
    {
        while (TryTake() is { } work)
        {
            RunOne(work);
        }
    }

    private void RunOne(Action work)
    {
        try
        {
            work();
        }
        catch (Exception e)
        {
            Report(e);
        }
    }

    private void Report(Exception failure)
    {
        try
        {
            _onFailure(failure);
        }
        catch (Exception)
        {
            // What handles failures has failed. There is nobody left to tell, and the other work must be done all the same.
        }
    }

    private Action? TryTake()
    {
        lock (_gate)
        {
            _isRunning = _work.TryDequeue(out var work);
            if (!_isRunning && _isComplete)
            {
                _completion.TrySetResult();
            }

            return work;
        }
    }
}
