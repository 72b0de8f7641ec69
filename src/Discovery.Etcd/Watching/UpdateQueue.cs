using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Discovery.Etcd.Watching;

/// <summary>The updates of one watch that its reader has not read yet, and what they weigh.</summary>
internal sealed class UpdateQueue(UnreadBudget budget)
{
    // The objects around keys and values, and an error with its causes, roughly.
    private const int Overhead = 512;
    private const int ErrorSize = 4096;

    private readonly Lock _gate = new();
    private readonly Queue<(EtcdWatchUpdate Update, long Size)> _unread = new();
    private readonly Signal _changed = new();
    private long _size;
    private bool _isComplete;

    /// <summary>What is unread, in bytes of memory.</summary>
    public long Size
    {
        get
        {
            lock (_gate)
            {
                return _size;
            }
        }
    }

    public void Add(EtcdWatchUpdate update)
    {
        lock (_gate)
        {
            if (_isComplete)
            {
                return;
            }

            var size = SizeOf(update);
            _unread.Enqueue((update, size));
            Grow(size);
        }

        _changed.Set();
    }

    /// <summary>Drops all that is unread.</summary>
    /// <returns>Whether an update that asks for a new list was among it.</returns>
    public bool Clear()
    {
        lock (_gate)
        {
            var asksForList = _unread.Any(u => u.Update.Kind == EtcdWatchUpdateKind.ListAgain);
            _unread.Clear();
            Grow(-_size);
            return asksForList;
        }
    }

    /// <summary>Takes no more updates. What is unread can still be read.</summary>
    public void Complete()
    {
        lock (_gate)
        {
            if (_isComplete)
            {
                return;
            }

            // Nobody may ever read the rest; it must not count against the other watches.
            Grow(-_size);
            _isComplete = true;
        }

        _changed.Set();
    }

    public async IAsyncEnumerable<EtcdWatchUpdate> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var change = _changed.Next;
            if (TryTake(out var update, out var isComplete))
            {
                yield return update;
            }
            else if (isComplete)
            {
                yield break;
            }
            else
            {
                await change.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private static long SizeOf(EtcdWatchUpdate update) =>
        Overhead + (update.Error is null ? 0 : ErrorSize) + update.Events.Sum(e => SizeOf(e.Record) + (e.Previous is null ? 0 : SizeOf(e.Previous)));

    private static long SizeOf(EtcdKeyValue record) => Overhead + (3 * record.KeyBytes.Length) + record.Value.Length;

    private bool TryTake([NotNullWhen(true)] out EtcdWatchUpdate? update, out bool isComplete)
    {
        lock (_gate)
        {
            isComplete = _isComplete;
            if (!_unread.TryDequeue(out var next))
            {
                update = null;
                return false;
            }

            update = next.Update;
            if (!_isComplete)
            {
                Grow(-next.Size);
            }

            return true;
        }
    }

    private void Grow(long by)
    {
        _size += by;
        budget.Changed(by, _size);
    }
}
