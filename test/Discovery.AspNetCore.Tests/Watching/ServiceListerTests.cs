using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Watching;

public sealed class ServiceListerTests
{
    [Fact]
    public async Task Lists_are_bounded_in_number_and_those_that_hang_keep_nobody_from_asking_one_member()
    {
        var source = new NoQuorum();
        var lister = new ServiceLister(source, new FakeTimeProvider());
        using var stop = new CancellationTokenSource();
        var hanging = Enumerable.Range(0, 20).Select(_ => lister.ListOnceAsync("p/", EtcdReadConsistency.Linearizable, stop.Token)).ToList();
        await Eventually.IsTrue(() => source.Hanging > 0);

        var own = await lister.ListOnceAsync("p/", EtcdReadConsistency.Serializable, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(10));

        Assert.Equal((7, 4), (own.Revision, source.Hanging));
        await stop.CancelAsync();
        foreach (var list in hanging)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => list);
        }
    }

    [Fact]
    public async Task A_thousand_services_on_an_etcd_that_takes_a_while_for_each_start_from_the_clusters_state()
    {
        var clock = new FakeTimeProvider();
        var source = new Slow(clock);
        using var log = new LogRecorder();
        var lister = new ServiceLister(source, clock);

        // All lists together take more than 1.26 s, and each 20 ms of it.
        var options = new EtcdDiscoveryOptions { ReadyTimeout = TimeSpan.FromMilliseconds(500) };
        var watchers = Enumerable.Range(0, 1000)
            .Select(i => new ServiceWatcher($"svc{i}", new EtcdNamingLayout(null), options, source, lister, clock, log))
            .ToList();

        var running = 0;
        await Eventually.IsTrue(() =>
        {
            // When no list more begins, those under way are as many as there may be.
            if (source.Running == running)
            {
                clock.Advance(TimeSpan.FromMilliseconds(20));
            }

            running = source.Running;
            return watchers.TrueForAll(static w => w.Feed.Current is not null);
        });

        Assert.All(watchers, static w => Assert.Equal(ServiceChangeReason.Listed, w.Feed.Current!.Reason));
        Assert.Equal((1000, 16), (source.Lists, source.MaxAtOnce));
        Assert.Empty(log.At(LogLevel.Warning));
        foreach (var watcher in watchers)
        {
            await watcher.DisposeAsync();
        }
    }

    [Fact]
    public async Task Without_a_quorum_those_in_line_do_not_wait_one_after_another()
    {
        var clock = new FakeTimeProvider();
        var lister = new ServiceLister(new NoQuorum(), clock);
        var began = clock.GetTimestamp();
        var first = Enumerable.Range(0, 1000)
            .Select(_ => lister.ListFirstAsync("p/", onPage: null, EtcdReadConsistency.Linearizable, TimeSpan.FromSeconds(2), CancellationToken.None)).ToList();

        await Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
            return first.TrueForAll(static f => f.IsCompleted);
        });

        Assert.InRange(clock.GetElapsedTime(began), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30));
        Assert.All(first, static f => Assert.IsType<EtcdException>(f.Exception!.InnerException));
    }

    [Fact]
    public async Task Why_nothing_is_listed_is_logged_once_within_a_second_and_once_that_it_is_over()
    {
        var etcd = new ModelEtcd { IsDown = true, ListsWaitFor = new TaskCompletionSource().Task };
        var clock = new FakeTimeProvider();
        using var log = new LogRecorder();
        var lister = new ServiceLister(new Hanging(etcd), clock, log);
        using var stop = new CancellationTokenSource();
        var lists = Enumerable.Range(0, 3)
            .Select(_ => lister.ListFirstAsync("p/", onPage: null, EtcdReadConsistency.Linearizable, TimeSpan.FromHours(1), stop.Token)).ToList();

        await Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(10));
            return lister.Outage.Cause is not null;
        });
        Assert.Contains("the model is down", Assert.Single(log.At(LogLevel.Warning)), StringComparison.Ordinal);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(lists));

        (etcd.IsDown, etcd.ListsWaitFor) = (false, null);
        var healthy = new ServiceLister(etcd, clock, log);
        healthy.Outage.OnFailed(ModelEtcd.Unavailable);
        healthy.Outage.OnFailed(ModelEtcd.Unavailable);
        clock.Advance(TimeSpan.FromSeconds(7));
        await healthy.ListOnceAsync("p/", EtcdReadConsistency.Linearizable, CancellationToken.None);
        Assert.Contains("can be listed again, after 7.0 s", Assert.Single(log.At(LogLevel.Information)), StringComparison.Ordinal);
        Assert.Equal(2, log.At(LogLevel.Warning).Count);
    }

    [Fact]
    public async Task Why_nothing_is_listed_is_looked_for_again_when_a_first_look_came_too_early_but_ever_less_often()
    {
        var etcd = new ModelEtcd();
        var source = new Hanging(etcd);
        var clock = new FakeTimeProvider();
        using var log = new LogRecorder();
        var lister = new ServiceLister(source, clock, log);
        using var stop = new CancellationTokenSource();
        var list = lister.ListOnceAsync("p/", EtcdReadConsistency.Linearizable, stop.Token);
        await Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(500));
            return clock.GetUtcNow() - clock.Start > TimeSpan.FromMinutes(1);
        });
        Assert.InRange(source.Looks, 2, 20);
        Assert.Null(lister.Outage.Cause);

        etcd.IsDown = true;
        await Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
            return lister.Outage.Cause is not null;
        });

        Assert.Contains("the model is down", Assert.Single(log.At(LogLevel.Warning)), StringComparison.Ordinal);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => list);
    }

    [Fact]
    public void An_outage_that_others_have_met_is_theirs_to_warn_of_and_the_last_to_recover_says_that_it_is_over()
    {
        var clock = new FakeTimeProvider();
        using var log = new LogRecorder();
        var shared = new EtcdOutage(clock);
        var lists = new ListOutage(new Lazy<EtcdOutage>(shared), clock, log);
        var registration = new object();
        Assert.Equal(LogLevel.Warning, shared.Began(registration, clock.GetTimestamp()));
        clock.Advance(TimeSpan.FromSeconds(1));

        lists.OnFailed(ModelEtcd.Unavailable);
        lists.OnWatch(works: false);
        clock.Advance(TimeSpan.FromSeconds(4));
        shared.Over(registration, clock.GetTimestamp());
        clock.Advance(TimeSpan.FromSeconds(2));
        lists.OnWatch(works: true);
        lists.OnListed();

        Assert.Empty(log.At(LogLevel.Warning));
        Assert.Contains("after 7.0 s", Assert.Single(log.At(LogLevel.Information)), StringComparison.Ordinal);
        Assert.Null(lists.Cause);
        lists.OnFailed(ModelEtcd.Unavailable);
        Assert.Single(log.At(LogLevel.Warning));
    }

    /// <summary>An etcd that cannot be reached, which the client finds out only in the end.</summary>
    private sealed class Hanging(ModelEtcd etcd) : IServiceSource
    {
        public IReadOnlyList<Uri> Endpoints => etcd.Endpoints;

        public async Task<EtcdListing> ListAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        {
            await Task.Delay(Timeout.Infinite, cancellationToken);
            throw ModelEtcd.Unavailable;
        }

        public int Looks { get; private set; }

        public Task<EtcdException?> FindFailureAsync(TimeSpan limit, CancellationToken cancellationToken)
        {
            Looks++;
            return etcd.FindFailureAsync(limit, cancellationToken);
        }

        public IServiceWatch Watch(string prefix, long startRevision, ulong clusterId) => throw new NotSupportedException();
    }

    /// <summary>An etcd that takes 20 ms for each list, whose watches are quiet.</summary>
    private sealed class Slow(TimeProvider time) : IServiceSource
    {
        private readonly ModelEtcd _etcd = new();
        private readonly Lock _gate = new();
        private int _running;

        public int Lists { get; private set; }

        public int MaxAtOnce { get; private set; }

        /// <summary>How many lists are under way.</summary>
        public int Running
        {
            get
            {
                lock (_gate)
                {
                    return _running;
                }
            }
        }

        public IReadOnlyList<Uri> Endpoints => _etcd.Endpoints;

        public async Task<EtcdListing> ListAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        {
            lock (_gate)
            {
                (Lists, _running) = (Lists + 1, _running + 1);
                MaxAtOnce = Math.Max(MaxAtOnce, _running);
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), time, cancellationToken);
            lock (_gate)
            {
                _running--;
            }

            return await _etcd.ListAsync(prefix, consistency, cancellationToken);
        }

        public IServiceWatch Watch(string prefix, long startRevision, ulong clusterId) => _etcd.Watch(prefix, startRevision, clusterId);
    }

    /// <summary>An etcd in which reads of the agreed state wait for a quorum.</summary>
    private sealed class NoQuorum : IServiceSource
    {
        private int _hanging;

        public int Hanging => Volatile.Read(ref _hanging);

        public IReadOnlyList<Uri> Endpoints => [];

        public async Task<EtcdListing> ListAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        {
            if (consistency == EtcdReadConsistency.Linearizable)
            {
                Interlocked.Increment(ref _hanging);
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }

            return new EtcdListing { Items = [], Revision = 7, ClusterId = 1 };
        }

        public IServiceWatch Watch(string prefix, long startRevision, ulong clusterId) => throw new NotSupportedException();
    }
}
