using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Grpc.Core;

namespace Discovery.AspNetCore.Tests.Watching;

/// <summary>Lists that wait go together in one request.</summary>
public sealed class ListsTogetherTests
{
    private const int Services = 1_000;

    private readonly Source _source = new();
    private readonly FakeTimeProvider _clock = new();

    [Fact]
    public async Task A_thousand_services_are_listed_by_a_few_requests_each_with_its_own_list()
    {
        var lister = new ServiceLister(_source, _clock);
        var lists = Enumerable.Range(0, Services).Select(i => ListAsync(lister, $"s{i}/")).ToList();
        await Eventually.IsTrue(() => _source.Alone == 4);
        _source.Gate.SetResult();

        var listings = await Task.WhenAll(lists).WaitAsync(TimeSpan.FromSeconds(10));

        Assert.Equal(Enumerable.Range(0, Services).Select(static i => $"s{i}/"), listings.Select(static l => l.Items[0].Key));
        Assert.Equal((4, 10), (_source.Alone, _source.Together.Count));
        Assert.InRange(_source.MostTogetherAtOnce, 1, 4);
    }

    [Fact]
    public async Task A_list_that_is_refused_leaves_the_others_alone()
    {
        _source.Refuses = static prefixes => prefixes.Contains("s500/") ? Failure(StatusCode.PermissionDenied) : null;
        var lister = new ServiceLister(_source, _clock);
        var lists = Enumerable.Range(0, Services).Select(i => ListAsync(lister, $"s{i}/")).ToList();
        _source.Gate.SetResult();

        for (var i = 0; i < Services; i++)
        {
            if (i == 500)
            {
                Assert.Equal(StatusCode.PermissionDenied, (await Assert.ThrowsAsync<EtcdException>(() => lists[500])).StatusCode);
            }
            else
            {
                Assert.Equal($"s{i}/", (await lists[i].WaitAsync(TimeSpan.FromSeconds(10))).Items[0].Key);
            }
        }

        Assert.Null(lister.Outage.Cause);
    }

    [Fact]
    public async Task An_etcd_that_takes_fewer_operations_is_asked_for_fewer()
    {
        _source.Refuses = static prefixes => prefixes.Count > 16 ? Failure(StatusCode.InvalidArgument) : null;
        var lister = new ServiceLister(_source, _clock);
        async Task ListAllAsync()
        {
            _source.Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var lists = Enumerable.Range(0, Services).Select(i => ListAsync(lister, $"s{i}/")).ToList();
            _source.Gate.SetResult();
            await Task.WhenAll(lists).WaitAsync(TimeSpan.FromSeconds(10));
        }

        await ListAllAsync();
        var refusals = _source.Refusals;
        await ListAllAsync();

        Assert.InRange(refusals, 1, 20);
        Assert.Equal(refusals, _source.Refusals);
        Assert.Contains(_source.Together, static count => count is > 1 and <= 16);
    }

    [Fact]
    public async Task An_etcd_that_is_away_is_not_asked_for_each_list_again()
    {
        var lister = new ServiceLister(_source, _clock);
        _source.Refuses = static _ => ModelEtcd.Unavailable;
        var lists = Enumerable.Range(0, 104).Select(i => ListAsync(lister, $"s{i}/")).ToList();
        _source.Gate.SetResult();

        foreach (var list in lists)
        {
            Assert.Same(ModelEtcd.Unavailable, await Assert.ThrowsAsync<EtcdException>(() => list));
        }

        Assert.Equal(4, _source.Alone);
        Assert.NotNull(lister.Outage.Cause);
    }

    [Fact]
    public async Task Who_gives_up_takes_nobody_along_and_the_last_one_ends_the_request()
    {
        var lister = new ServiceLister(_source, _clock);
        using var some = new CancellationTokenSource();
        using var others = new CancellationTokenSource();
        var alone = Enumerable.Range(0, 4).Select(i => ListAsync(lister, $"a{i}/")).ToList();
        var first = Enumerable.Range(0, 50).Select(i => ListAsync(lister, $"s{i}/", some.Token)).ToList();
        var second = Enumerable.Range(0, 50).Select(i => ListAsync(lister, $"t{i}/", others.Token)).ToList();
        _source.TogetherGate = new TaskCompletionSource();
        _source.Gate.SetResult();
        await Eventually.IsTrue(() => _source.Together.Count == 1);

        await some.CancelAsync();
        await Task.WhenAll(first).ContinueWith(static _ => { }, TaskScheduler.Default).WaitAsync(TimeSpan.FromSeconds(10));
        Assert.All(first, static l => Assert.True(l.IsCanceled));
        Assert.Equal(0, _source.Ended);
        Assert.All(second, static l => Assert.False(l.IsCompleted));

        await others.CancelAsync();
        await Eventually.IsTrue(() => _source.Ended == 1);
        Assert.All(second, static l => Assert.True(l.IsCanceled));
        Assert.All(await Task.WhenAll(alone), static l => Assert.Single(l.Items));
    }

    [Fact]
    public async Task Lists_without_an_answer_fail_together_and_those_behind_them_too()
    {
        var lister = new ServiceLister(_source, _clock);
        _source.TogetherGate = new TaskCompletionSource();
        var alone = Enumerable.Range(0, 4).Select(i => ListAsync(lister, $"a{i}/")).ToList();
        var lists = Enumerable.Range(0, Services).Select(i => ListAsync(lister, $"s{i}/")).ToList();
        _source.Gate.SetResult();
        await Task.WhenAll(alone);
        await Eventually.IsTrue(() => _source.Together.Count == 4);

        await Eventually.IsTrue(() =>
        {
            _clock.Advance(TimeSpan.FromMilliseconds(100));
            return lists.TrueForAll(static l => l.IsCompleted);
        });

        Assert.All(lists, static l => Assert.Equal(StatusCode.DeadlineExceeded, Assert.IsType<EtcdException>(l.Exception!.InnerException).StatusCode));

        // Those that began before an answer came hold nobody back but themselves, so that a second round may begin; a third does not.
        Assert.InRange(_source.Together.Count, 4, 8);
        await Eventually.IsTrue(() => _source.Ended == _source.Together.Count);
    }

    [Fact]
    public async Task A_long_line_of_lists_that_are_answered_at_once_does_not_overflow_the_stack()
    {
        var source = new Source { MostListsTogether = 1 };
        var lister = new ServiceLister(source, _clock);
        var lists = Enumerable.Range(0, 200_000)
            .Select(_ => lister.ListOnceAsync("s/", EtcdReadConsistency.Linearizable, CancellationToken.None)).ToList();

        source.Gate.SetResult();

        Assert.Equal(200_000, (await Task.WhenAll(lists).WaitAsync(TimeSpan.FromSeconds(60))).Length);
    }

    private static Task<EtcdListing> ListAsync(ServiceLister lister, string prefix, CancellationToken cancellationToken = default)
        => lister.ListFirstAsync(prefix, onPage: null, EtcdReadConsistency.Linearizable, TimeSpan.FromSeconds(2), cancellationToken);

    private static EtcdException Failure(StatusCode code) => new($"refused: {code}", new Status(code, "refused"), "Txn", ["http://model:2379"]);

    /// <summary>An etcd that answers when its gate is open, and counts.</summary>
    private sealed class Source : IServiceSource
    {
        private readonly Lock _gate = new();
        private int _running;

        public TaskCompletionSource Gate { get; set; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource? TogetherGate { get; set; }

        public Func<IReadOnlyList<string>, EtcdException?>? Refuses { get; set; }

        public int Alone { get; private set; }

        public List<int> Together { get; } = [];

        public int MostTogetherAtOnce { get; private set; }

        public int Refusals { get; private set; }

        public int Ended { get; private set; }

        public IReadOnlyList<Uri> Endpoints => [new Uri("http://model:2379")];

        public int MostListsTogether { get; init; } = 100;

        public async Task<EtcdListing> ListAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        {
            lock (_gate)
            {
                Alone++;
            }

            await Gate.Task.WaitAsync(cancellationToken);
            return Refuses?.Invoke([prefix]) is { } failure ? throw failure : Of(prefix);
        }

        public async Task<IReadOnlyList<EtcdListing>> ListTogetherAsync(
            IReadOnlyList<string> prefixes, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        {
            lock (_gate)
            {
                Together.Add(prefixes.Count);
                MostTogetherAtOnce = Math.Max(MostTogetherAtOnce, ++_running);
            }

            try
            {
                await Gate.Task.WaitAsync(cancellationToken);
                await (TogetherGate?.Task ?? Task.CompletedTask).WaitAsync(cancellationToken);
            }
            catch (OperationCanceledException)
            {
                lock (_gate)
                {
                    Ended++;
                }

                throw;
            }
            finally
            {
                lock (_gate)
                {
                    _running--;
                }
            }

            if (Refuses?.Invoke(prefixes) is { } failure)
            {
                lock (_gate)
                {
                    Refusals++;
                }

                throw failure;
            }

            return [.. prefixes.Select(Of)];
        }

        public IServiceWatch Watch(string prefix, long startRevision, ulong clusterId) => throw new NotSupportedException();

        private static EtcdListing Of(string prefix) => new()
        {
            Items = [new EtcdKeyValue { KeyBytes = System.Text.Encoding.UTF8.GetBytes(prefix), Value = default, CreateRevision = 1, ModRevision = 1, Version = 1 }],
            Revision = 7,
            ClusterId = 1,
        };
    }
}
