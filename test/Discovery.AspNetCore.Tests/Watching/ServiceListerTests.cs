using Discovery.AspNetCore.Watching;
using Discovery.Etcd;

namespace Discovery.AspNetCore.Tests.Watching;

public sealed class ServiceListerTests
{
    [Fact]
    public async Task Lists_are_bounded_in_number_and_those_that_hang_keep_nobody_from_asking_one_member()
    {
        var source = new NoQuorum();
        using var lister = new ServiceLister(source, new FakeTimeProvider());
        using var stop = new CancellationTokenSource();
        var hanging = Enumerable.Range(0, 20).Select(_ => lister.ListOnceAsync("p/", EtcdReadConsistency.Linearizable, stop.Token).AsTask()).ToList();
        await Eventually.IsTrue(() => source.Hanging > 0);

        var own = await lister.ListOnceAsync("p/", EtcdReadConsistency.Serializable, CancellationToken.None).AsTask().WaitAsync(TimeSpan.FromSeconds(10));

        Assert.Equal((7, 4), (own.Revision, source.Hanging));
        await stop.CancelAsync();
        foreach (var list in hanging)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => list);
        }
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
