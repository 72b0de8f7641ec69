using System.Text;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Watching;

/// <summary>The pages of a first list are read while the next ones are on their way.</summary>
public sealed class ReadAheadTests
{
    private readonly EtcdNamingLayout _layout = new(null);

    [Fact]
    public async Task What_pages_and_the_rest_have_is_in_the_snapshot_and_garbage_in_either_is_logged_and_counted()
    {
        var (first, second, last) = (Page(0, 10, garbage: 3), Page(10, 10, garbage: 12), Page(20, 5, garbage: 21));
        using var log = new LogRecorder();
        await using var watcher = Watch(new Paged(onPage => (onPage(first), onPage(second)), [.. first, .. second, .. last]), log);

        var snapshot = await watcher.WaitForReadyAsync(TimeSpan.FromSeconds(10), CancellationToken.None);

        Assert.Equal(
            Enumerable.Range(0, 25).Except([3, 12, 21]).Select(AddressOf).Order(), snapshot.Instances.Select(static i => i.Address).Order());
        Assert.Equal(3, watcher.Status.SkippedRecords);
        Assert.Equal(3, log.At(LogLevel.Warning).Count(static l => l.Contains("is no instance and is skipped", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Of_thousands_of_records_none_is_lost_or_read_twice()
    {
        var (first, second, last) = (Page(0, 2_000, garbage: 1_999), Page(2_000, 1_001, garbage: 2_250), Page(3_001, 1_500, garbage: 3_001));
        using var log = new LogRecorder();
        await using var watcher = Watch(new Paged(onPage => (onPage(first), onPage(second)), [.. first, .. second, .. last]), log);

        var snapshot = await watcher.WaitForReadyAsync(TimeSpan.FromSeconds(10), CancellationToken.None);

        Assert.Equal(
            Enumerable.Range(0, 4_501).Except([1_999, 2_250, 3_001]).Select(AddressOf).Order(), snapshot.Instances.Select(static i => i.Address).Order());
        Assert.Equal(3, watcher.Status.SkippedRecords);
        Assert.Equal(3, log.At(LogLevel.Warning).Count(static l => l.Contains("is no instance and is skipped", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Pages_of_a_list_that_started_over_do_not_count()
    {
        var (old, first, last) = (Page(100, 10), Page(0, 10), Page(10, 5));
        using var log = new LogRecorder();
        await using var watcher = Watch(new Paged(onPage => (onPage(old), onPage(first)), [.. first, .. last]), log);

        var snapshot = await watcher.WaitForReadyAsync(TimeSpan.FromSeconds(10), CancellationToken.None);

        Assert.Equal(Enumerable.Range(0, 15).Select(AddressOf).Order(), snapshot.Instances.Select(static i => i.Address).Order());
        Assert.Equal(0, watcher.Status.SkippedRecords);
    }

    [Fact]
    public async Task A_page_that_the_list_has_otherwise_does_not_count()
    {
        var (page, again) = (Page(0, 10, garbage: 4), Page(0, 10));
        using var log = new LogRecorder();
        await using var watcher = Watch(new Paged(onPage => (onPage(page), 0), again), log);

        var snapshot = await watcher.WaitForReadyAsync(TimeSpan.FromSeconds(10), CancellationToken.None);

        Assert.Equal((10, 0), (snapshot.Instances.Count, watcher.Status.SkippedRecords));
        Assert.Empty(log.At(LogLevel.Warning));
    }

    private static string AddressOf(int number) => $"{HostOf(number)}:80";

    private static string HostOf(int number) => $"10.0.{number / 250}.{(number % 250) + 1}";

    private ServiceWatcher Watch(IServiceSource source, LogRecorder log)
        => new("svc", _layout, new EtcdDiscoveryOptions(), source, new ServiceLister(source, TimeProvider.System), TimeProvider.System, log);

    private EtcdKeyValue[] Page(int from, int count, int garbage = -1) =>
    [
        .. Enumerable.Range(from, count).Select(i => new EtcdKeyValue
        {
            KeyBytes = Encoding.UTF8.GetBytes(_layout.GetKey("svc", AddressOf(i))),
            Value = i == garbage
                ? "{"u8.ToArray() : _layout.Write(new ServiceInstance { Key = "", ServiceName = "svc", Host = HostOf(i), Port = 80 }),
            CreateRevision = 1,
            ModRevision = 1,
            Version = 1,
        }),
    ];

    /// <summary>An etcd that hands pages over before it answers, and whose watches are quiet.</summary>
    private sealed class Paged(Func<Func<IReadOnlyList<EtcdKeyValue>, int>, object> handOver, EtcdKeyValue[] all) : IServiceSource
    {
        private readonly ModelEtcd _etcd = new();

        public IReadOnlyList<Uri> Endpoints => _etcd.Endpoints;

        public Task<EtcdListing> ListAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken)
            => throw new NotSupportedException();

        public async Task<EtcdListing> ListAsync(
            string prefix, Action<IReadOnlyList<EtcdKeyValue>>? onPage, EtcdReadConsistency consistency, CancellationToken cancellationToken)
        {
            await Task.Yield();
            handOver(page =>
            {
                onPage!(page);
                return 0;
            });
            return new EtcdListing { Items = all, Revision = 1, ClusterId = 1 };
        }

        public IServiceWatch Watch(string prefix, long startRevision, ulong clusterId) => _etcd.Watch(prefix, startRevision, clusterId);
    }
}
