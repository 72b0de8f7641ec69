using Discovery.Etcd;
using Grpc.Core;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// The line in which lists stand. A few requests run at a time, more while etcd answers, and few again when it does not. Those that wait go
/// together in one request where etcd can do that, so that a thousand services are listed soon.
/// </summary>
/// <param name="mostTogether">How many lists can go in one request.</param>
/// <param name="listAsync">Makes the request of a turn.</param>
internal sealed class ListQueue(int mostTogether, Func<ListTurn, Task<IReadOnlyList<EtcdListing>>> listAsync)
{
    private const int Least = 4;
    private const int Most = 16;

    private readonly Lock _gate = new();
    private readonly Queue<Entry> _waiting = new();
    private int _mostTogether = mostTogether;
    private int _allowed = Least;
    private int _running;
    private int _shared;
    private long _answers;

    /// <summary>Waits for a turn, in which the list is then under way.</summary>
    /// <param name="request">What to list.</param>
    /// <param name="alone">Whether it goes in a request of its own.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>The turn, and which of its lists this is.</returns>
    /// <exception cref="OperationCanceledException">The waiting was ended.</exception>
    public async Task<(ListTurn Turn, int Index)> EnterAsync(ListRequest request, bool alone, CancellationToken cancellationToken)
    {
        var entry = new Entry(request, alone);
        lock (_gate)
        {
            _waiting.Enqueue(entry);
        }

        StartTurns();
        try
        {
            return await entry.Turn.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            if (!entry.TryLeave())
            {
                // The turn came in the same moment, or is about to; or a failure did.
                _ = GiveUpAsync(entry.Turn.Task);
            }

            throw;
        }
    }

    /// <summary>
    /// Has those in line fail, because a list got no answer and none has since it began: each would wait as long in its turn, and the last of
    /// a thousand for minutes.
    /// </summary>
    public void FailWaiting(ListTurn unanswered, Exception cause)
    {
        List<Entry> failed = [];
        lock (_gate)
        {
            while (_answers == unanswered.AnswersBefore && _waiting.TryDequeue(out var next))
            {
                if (next.TryLeave())
                {
                    failed.Add(next);
                }
            }
        }

        failed.ForEach(entry => entry.Turn.TrySetException(cause));
    }

    private static async Task GiveUpAsync(Task<(ListTurn Turn, int Index)> entered)
    {
        await ((Task)entered).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (entered.IsCompletedSuccessfully)
        {
            (await entered.ConfigureAwait(false)).Turn.GiveUp();
        }
    }

    private void StartTurns()
    {
        while (true)
        {
            ListTurn turn;
            List<Entry> members;
            lock (_gate)
            {
                members = TakeNextLockHeld();
                if (members.Count == 0)
                {
                    return;
                }

                _running++;
                _shared += members.Count > 1 ? 1 : 0;
                turn = new ListTurn(members.ConvertAll(static m => m.Request), _answers);
            }

            _ = RunAsync(turn);
            for (var i = 0; i < members.Count; i++)
            {
                members[i].Turn.SetResult((turn, i));
            }
        }
    }

    /// <summary>Those whose turn it is, if there is room for one.</summary>
    private List<Entry> TakeNextLockHeld()
    {
        List<Entry> members = [];

        // A request of many lists is much work for etcd: of these it gets no more when it answers soon.
        while (_running < _allowed && members.Count < _mostTogether && _waiting.TryPeek(out var next)
            && (members.Count == 0 || !next.Alone) && (next.Alone || _mostTogether == 1 || _shared < Least))
        {
            _waiting.Dequeue();
            if (next.TryLeave())
            {
                members.Add(next);
                if (next.Alone)
                {
                    break;
                }
            }
        }

        return members;
    }

    private async Task RunAsync(ListTurn turn)
    {
        // What is answered at once ends within StartTurns, which goes on with the next turn by itself.
        var request = listAsync(turn);
        var goesOn = !request.IsCompleted;
        try
        {
            var lists = await request.ConfigureAwait(false);
            End(turn, isAnswered: true, hadTooMany: false, goesOn);
            turn.Complete(lists);
        }
        catch (Exception e)
        {
            // Whoever waits gets it.
            End(turn, isAnswered: false, hadTooMany: turn.IsShared && e is EtcdException { StatusCode: StatusCode.InvalidArgument }, goesOn);
            turn.Fail(e);
        }
    }

    private void End(ListTurn turn, bool isAnswered, bool hadTooMany, bool goesOn)
    {
        lock (_gate)
        {
            _running--;
            _shared -= turn.IsShared ? 1 : 0;
            _answers += isAnswered ? 1 : 0;
            _allowed = isAnswered ? Math.Min(_allowed + 1, Most) : Math.Max(_allowed / 2, Least);
            if (hadTooMany)
            {
                // etcd takes fewer operations in one request.
                _mostTogether = Math.Max(1, Math.Min(_mostTogether, turn.Requests.Count / 2));
            }
        }

        if (goesOn)
        {
            StartTurns();
        }
    }

    private sealed class Entry(ListRequest request, bool alone)
    {
        private int _hasLeft;

        public ListRequest Request => request;

        public bool Alone => alone;

        public TaskCompletionSource<(ListTurn Turn, int Index)> Turn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Leaves the line, for a turn or because its waiting was ended; only one of the two can be.</summary>
        public bool TryLeave() => Interlocked.Exchange(ref _hasLeft, 1) == 0;
    }
}
