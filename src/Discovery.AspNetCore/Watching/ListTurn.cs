using Discovery.Etcd;

namespace Discovery.AspNetCore.Watching;

/// <summary>A turn of a <see cref="ListQueue"/>: the lists that go in one request.</summary>
#pragma warning disable CA1001 // A source without a timer holds nothing that must be released, and may be cancelled after the turn has ended.
internal sealed class ListTurn(IReadOnlyList<ListRequest> requests, long answersBefore)
#pragma warning restore CA1001
{
    // Several lists are looked at on several threads; a single one at once, as those who wait have a limit, and threads may be scarce.
    private readonly TaskCompletionSource<IReadOnlyList<EtcdListing>> _lists =
        new(requests.Count > 1 ? TaskCreationOptions.RunContinuationsAsynchronously : TaskCreationOptions.None);
    private readonly CancellationTokenSource _end = new();
    private int _interested = requests.Count;

    /// <summary>What is listed.</summary>
    public IReadOnlyList<ListRequest> Requests => requests;

    /// <summary>How many turns were answered before this one began, for <see cref="ListQueue.FailWaiting"/>.</summary>
    public long AnswersBefore => answersBefore;

    /// <summary>Whether several lists go together, which etcd may refuse though it would answer each.</summary>
    public bool IsShared => requests.Count > 1;

    /// <summary>The lists, in the order of the requests.</summary>
    public Task<IReadOnlyList<EtcdListing>> Lists => _lists.Task;

    /// <summary>Ends the request once nobody waits for it any more.</summary>
    public CancellationToken CancellationToken => _end.Token;

    /// <summary>One of those who wait does so no longer.</summary>
    public void GiveUp()
    {
        if (Interlocked.Decrement(ref _interested) == 0)
        {
            _end.Cancel();
        }
    }

    /// <summary>The request was answered.</summary>
    public void Complete(IReadOnlyList<EtcdListing> lists) => _lists.TrySetResult(lists);

    /// <summary>The request failed, or was ended.</summary>
    public void Fail(Exception cause)
    {
        _lists.TrySetException(cause);

        // Seen: those who gave up do not look at it.
        _ = _lists.Task.Exception;
    }
}

/// <summary>A list that is wanted.</summary>
/// <param name="Prefix">The prefix of its keys.</param>
/// <param name="OnPage">Learns its pages but the last as they come; null for nobody. Only a list in a request of its own has several.</param>
internal readonly record struct ListRequest(string Prefix, Action<IReadOnlyList<EtcdKeyValue>>? OnPage);
