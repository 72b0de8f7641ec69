using Discovery.AspNetCore.Diagnostics.Metrics;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// Lists a service although nothing asks for it: from time to time beside an open watch, whose events go on meanwhile, and every few seconds
/// while no watch can be opened. Used by one loop.
/// </summary>
internal sealed class ListCheck(ServiceState state, ServiceLister lister, string prefix, TimeSpan interval, WatcherTelemetry telemetry, TimeProvider time)
{
    /// <summary>How long events may take that are on their way while a list comes back.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    private Task<EtcdListing>? _list;
    private EtcdListing? _differing;
    private long _revisionBefore;
    private TimeSpan _dueAt;
    private TimeSpan _decideAt;

    /// <summary>The list that is under way, if one is.</summary>
    public Task? Running => _list;

    /// <summary>Why the last list failed.</summary>
    public EtcdException? Failure { get; private set; }

    /// <summary>The list to take as the truth, when a step says so.</summary>
    public EtcdListing? Listing { get; private set; }

    private TimeSpan Now => time.GetElapsedTime(0);

    /// <summary>How long until there is something to do besides waiting for the list.</summary>
    public TimeSpan? DueIn(bool mayList) => _differing is not null ? _decideAt - Now : mayList && _list is null ? _dueAt - Now : null;

    /// <summary>Starts the interval anew, with jitter so that the clients of a cluster spread.</summary>
    public void Schedule() => _dueAt = Now + (interval * (0.8 + (0.4 * Random.Shared.NextDouble())));

    /// <summary>Has a list made within a while.</summary>
    public void ScheduleWithin(TimeSpan limit)
    {
        var soon = Now + (limit * Random.Shared.NextDouble());
        _dueAt = soon < _dueAt ? soon : _dueAt;
    }

    /// <summary>Forgets the list under way: a newer one was applied.</summary>
    public void Discard()
    {
        _ = _list?.Exception;
        (_list, _differing) = (null, null);
        state.EndTracking();
    }

    /// <summary>Begins a list when it is due, and looks at the one that has come.</summary>
    /// <param name="isOpen">Whether the watch is open.</param>
    /// <param name="isInstead">Whether lists stand in for a watch that cannot be opened.</param>
    /// <param name="stop">Ends a list.</param>
    public ListCheckResult Step(bool isOpen, bool isInstead, CancellationToken stop)
    {
        if (_list is null && _differing is null && (isOpen || isInstead) && Now >= _dueAt)
        {
            _revisionBefore = state.Revision;
            state.BeginTracking();
            _list = lister.ListOnceAsync(prefix, EtcdReadConsistency.Linearizable, stop);
        }

        if (_list is { IsCompleted: true } list)
        {
            _list = null;
            telemetry.OnList(isInstead ? ListCauses.InsteadOfWatch : ListCauses.Check, list.IsCompletedSuccessfully);
            if (list.Exception?.InnerException is EtcdException failure)
            {
                Failure = failure;
                state.EndTracking();
                _dueAt = Now + (isOpen ? ServiceLister.MaxPause : lister.PollInterval);
                return ListCheckResult.Failed;
            }

            var listing = list.GetAwaiter().GetResult();
            if (!isOpen && !isInstead)
            {
                // The watch broke off meanwhile. What it brought before is newer than the list, or of another history; a list comes after that.
                state.EndTracking();
                return ListCheckResult.None;
            }

            if (!isOpen && !state.Continues(listing, state.Revision))
            {
                return Conclude(ListCheckResult.Differs);
            }

            if (!isOpen)
            {
                Listing = listing;
                state.EndTracking();
                _dueAt = Now + lister.PollInterval;
                return ListCheckResult.Listed;
            }

            // What a list shows before the watch does may be on its way, unless the watch is as far as the list.
            (_differing, _decideAt) = (listing, Now + (listing.Revision > state.Revision ? Grace : TimeSpan.Zero));
            if (!state.Continues(listing, _revisionBefore))
            {
                return Conclude(ListCheckResult.Differs);
            }
        }

        return _differing switch
        {
            null => ListCheckResult.None,
            _ when state.AgreesWith(_differing) => Conclude(ListCheckResult.Confirmed),
            _ when Now >= _decideAt => Conclude(ListCheckResult.Differs),
            _ => ListCheckResult.None,
        };
    }

    private ListCheckResult Conclude(ListCheckResult result)
    {
        _differing = null;
        state.EndTracking();
        Schedule();
        return result;
    }
}
