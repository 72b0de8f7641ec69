namespace Discovery.AspNetCore.Watching;

/// <summary>
/// The line in which lists stand. A few run at a time, more while etcd answers, so that a thousand services are listed soon, and few again
/// when it does not.
/// </summary>
internal sealed class ListQueue
{
    private const int Least = 4;
    private const int Most = 16;

    private readonly Lock _gate = new();
    private readonly Queue<TaskCompletionSource> _waiting = new();
    private int _allowed = Least;
    private int _running;
    private long _answers;

    /// <summary>Waits for a turn.</summary>
    /// <returns>How many lists were answered so far, for <see cref="FailWaiting"/>.</returns>
    /// <exception cref="OperationCanceledException">The waiting was ended.</exception>
    public async Task<long> EnterAsync(CancellationToken cancellationToken)
    {
        TaskCompletionSource turn;
        lock (_gate)
        {
            if (_running < _allowed)
            {
                _running++;
                return _answers;
            }

            _waiting.Enqueue(turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        try
        {
            await turn.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            if (!turn.TrySetCanceled(cancellationToken) && turn.Task.IsCompletedSuccessfully)
            {
                // The turn came in the same moment; it is the next one's.
                Leave(isAnswered: false);
            }

            throw;
        }

        lock (_gate)
        {
            return _answers;
        }
    }

    /// <summary>Ends a turn.</summary>
    public void Leave(bool isAnswered)
    {
        lock (_gate)
        {
            _running--;
            _answers += isAnswered ? 1 : 0;
            _allowed = isAnswered ? Math.Min(_allowed + 1, Most) : Math.Max(_allowed / 2, Least);
            while (_running < _allowed && _waiting.TryDequeue(out var next))
            {
                if (next.TrySetResult())
                {
                    _running++;
                }
            }
        }
    }

    /// <summary>
    /// Has those in line fail, because a list got no answer and none has since it began: each would wait as long in its turn, and the last of
    /// a thousand for minutes.
    /// </summary>
    public void FailWaiting(long answersBefore, Exception cause)
    {
        lock (_gate)
        {
            if (_answers == answersBefore)
            {
                while (_waiting.TryDequeue(out var next))
                {
                    next.TrySetException(cause);
                }
            }
        }
    }
}
