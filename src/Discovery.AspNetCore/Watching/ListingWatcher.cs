using Discovery.AspNetCore.Layouts;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Watching;

/// <summary>Follows the roots of a cluster's services.</summary>
internal sealed partial class ListingWatcher : IAsyncDisposable
{
    /// <summary>How long changes below a root are collected: a change is looked for among all of its records.</summary>
    private static readonly TimeSpan ChangeInterval = TimeSpan.FromMilliseconds(250);

    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(5);

    private readonly IServiceSource _source;
    private readonly ListingPlan _plan;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, RootState> _byRoot = new(StringComparer.Ordinal);
    private readonly Dictionary<string, FollowProblem> _problems;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loops;

    public ListingWatcher(IServiceSource source, ListingPlan plan, TimeProvider time, ILogger logger)
    {
        _source = source;
        _plan = plan;
        _time = time;
        _logger = logger;
        _problems = plan.Roots.ToDictionary(static r => r.Prefix, r => new FollowProblem(r.Prefix, logger), StringComparer.Ordinal);
        if (plan.Roots.Count == 0)
        {
            Publish();
        }

        _loops = Task.WhenAll(plan.Roots.Select(root => Detached.Run(() => FollowAsync(new RootReader(root), _stop.Token))));
    }

    /// <summary>The listings, the first of which comes when all roots have been read.</summary>
    public ChangeFeed<ServiceListing> Feed { get; } = new();

    /// <summary>Why a root cannot be read, rather one that the first listing still lacks; null when all can.</summary>
    public Exception? Problem
    {
        get
        {
            lock (_gate)
            {
                return _plan.Roots.OrderBy(r => _byRoot.ContainsKey(r.Prefix)).Select(r => _problems[r.Prefix].Current)
                    .FirstOrDefault(static p => p is not null);
            }
        }
    }

    /// <summary>The roots, for messages.</summary>
    public IEnumerable<string> Roots => _plan.Roots.Select(static r => r.Prefix);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loops.ConfigureAwait(false);
        Feed.Close();
        _stop.Dispose();
    }

    private async Task FollowAsync(RootReader reader, CancellationToken stop)
    {
        var problem = _problems[reader.Prefix];
        var options = new EtcdFollowOptions { OnStatusChanged = problem.OnStatusChanged };
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await foreach (var snapshot in _source.FollowAsync(reader.Prefix, options, stop).ConfigureAwait(false))
                {
                    Apply(reader.Prefix, reader.Read(snapshot));
                    await Task.Delay(ChangeInterval, _time, stop).ConfigureAwait(false);
                }

                return;
            }
            catch (Exception) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (ObjectDisposedException e) when (EtcdServiceSource.IsDisposed(e))
            {
                // The application stops.
                return;
            }
            catch (Exception e)
            {
                problem.OnFailed(e);
                Log.Unexpected(_logger, reader.Prefix, e);
            }

            await Task.Delay(RetryDelay, _time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void Apply(string prefix, RootState state)
    {
        lock (_gate)
        {
            if (state.SkippedKey is { } key && state.Skipped != _byRoot.GetValueOrDefault(prefix)?.Skipped)
            {
                Log.Skipped(_logger, state.Skipped, prefix, ForeignText.ShowKey(key, prefix));
            }

            _byRoot[prefix] = state;
            if (_byRoot.Count == _plan.Roots.Count)
            {
                Publish();
            }
        }
    }

    private void Publish()
    {
        var configured = _plan.Configured.Select(static s => s.ServiceName).ToHashSet(StringComparer.Ordinal);
        var registered = _byRoot.Values.SelectMany(static s => s.Records).GroupBy(static r => r.ServiceName, StringComparer.Ordinal)
            .Where(s => !configured.Contains(s.Key)).Select(Describe);
        Feed.Publish(new ServiceListing
        {
            Services = [.. _plan.Configured.Concat(registered).OrderBy(static s => s.ServiceName, StringComparer.Ordinal)],
            SkippedRecords = _byRoot.Values.Sum(static s => s.Skipped),
            UnlistedLayouts = _plan.UnlistedLayouts,
        });
    }

    /// <summary>As for calls, the record counts that does not drain, else the one that says more, else the one written last.</summary>
    private ListedService Describe(IGrouping<string, RootRecord> service) => new()
    {
        ServiceName = service.Key,
        Cluster = _source.Cluster,
        Instances =
        [
            .. service.SelectMany(static r => r.Instances.Select(i => (r.SupportsMetadata, Instance: i)))
                .GroupBy(static i => i.Instance.Address, StringComparer.Ordinal)
                .Select(static a => a.MaxBy(static i => RecordPrecedence.Of(i.Instance, i.SupportsMetadata)).Instance)
                .OrderBy(static i => i.Address, StringComparer.Ordinal),
        ],
    };

    private static partial class Log
    {
        [LoggerMessage(2161, LogLevel.Debug, "{Count} records below {Root} are no instances of a service and are skipped, e.g. {Key}.")]
        public static partial void Skipped(ILogger logger, int count, string root, string key);

        [LoggerMessage(2162, LogLevel.Error, "Following {Root} failed unexpectedly and is soon begun again.")]
        public static partial void Unexpected(ILogger logger, string root, Exception exception);
    }
}
