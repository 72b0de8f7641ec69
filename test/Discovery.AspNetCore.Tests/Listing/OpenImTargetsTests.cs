using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Text;
using Discovery.AspNetCore.Diagnostics.Prometheus;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Listing;

/// <summary>The targets that OpenIM's servers write, when following them fails.</summary>
public sealed class OpenImTargetsTests
{
    private readonly LogRecorder _log = new();
    private readonly ObservedTimeProvider _time = new();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_fails_unexpectedly_is_said_and_followed_again(bool isDisposed)
    {
        using var stop = new CancellationTokenSource();
        Exception failure = isDisposed ? new ObjectDisposedException("something else") : new InvalidOperationException("a defect");
        var targets = new OpenImTargets(new FailsAfterTheFirst(failure), "im/", _time, _log, stop.Token);
        Assert.Equal("10.0.0.1:1", await FindAsync(targets));
        await Eventually.IsTrue(() => _log.Has(LogLevel.Error, "Following im/ failed unexpectedly") && _time.ArmedTimers == 1);

        _time.Advance(TimeSpan.FromSeconds(5));

        await Eventually.IsTrue(async () => await FindAsync(targets) == "10.0.0.1:2");
        await stop.CancelAsync();
    }

    [Fact]
    public async Task What_etcd_refuses_is_said_once_and_named_to_whoever_asks()
    {
        using var stop = new CancellationTokenSource();
        var source = new RefusingSource("im/");
        var targets = new OpenImTargets(source, "im/", _time, _log, stop.Token);
        var asked = targets.GetAsync(TimeSpan.FromSeconds(5), default).AsTask();
        await source.Refused.WaitAsync(TimeSpan.FromSeconds(10));

        _time.Advance(TimeSpan.FromSeconds(5));

        var failure = await Assert.ThrowsAsync<ServiceDiscoveryException>(() => asked);
        Assert.Equal(
            $"The targets under 'im/' could not be listed within 5 s (Etcd:Discovery:ReadyTimeout). The last attempt: {RefusingSource.Reason}", failure.Message);
        Assert.IsType<EtcdException>(failure.InnerException);
        Assert.Equal(
            [$"Warning: What is registered under 'im/' cannot be read; it is tried again until it can. {RefusingSource.Reason}"], _log.Lines);
        await stop.CancelAsync();
    }

    private static async Task<string> FindAsync(OpenImTargets targets)
        => Assert.Single(await targets.GetAsync(Timeout.InfiniteTimeSpan, default)).Instance.Address;

    /// <summary>Gives another target each time it is followed, and after the first time fails.</summary>
    private sealed class FailsAfterTheFirst(Exception failure) : IServiceSource
    {
        private int _followed;

        public IReadOnlyList<Uri> Endpoints => [];

        public Task<EtcdListing> ListAsync(string prefix, EtcdReadConsistency consistency, CancellationToken cancellationToken)
            => throw new NotSupportedException();

        public IServiceWatch Watch(string prefix, long startRevision, ulong clusterId) => throw new NotSupportedException();

        public async IAsyncEnumerable<EtcdPrefixSnapshot> FollowAsync(
            string prefix, EtcdFollowOptions options, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            var port = Interlocked.Increment(ref _followed);
            var record = new EtcdKeyValue
            {
                KeyBytes = Encoding.UTF8.GetBytes($"{prefix}user/0"),
                Value = Encoding.UTF8.GetBytes($$"""{"target":"10.0.0.1:{{port}}"}"""),
                CreateRevision = port,
                ModRevision = port,
                Version = 1,
            };
            yield return new EtcdPrefixSnapshot
            {
                Prefix = prefix,
                Items = ImmutableSortedDictionary.Create<string, EtcdKeyValue>(StringComparer.Ordinal).Add(record.Key, record),
                Revision = port,
                ClusterId = 1,
            };
            if (port == 1)
            {
                throw failure;
            }

            await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
        }
    }
}
