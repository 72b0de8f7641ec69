using System.Diagnostics;
using Discovery.Etcd;
using Xunit.Abstractions;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

public sealed class LeaderLossTests(ITestOutputHelper output)
{
    private static readonly int Kills = Extent.Of("DISCOVERY_LEADER_KILLS", 5);

    [Fact]
    public async Task Killed_leaders_cost_no_event_and_little_more_than_their_elections()
    {
        await using var cluster = await EtcdCluster.StartAsync();
        await using var client = Connect(cluster.Endpoints);
        var prefix = NewPrefix();
        await using var watch = client.Watch(prefix, 1);
        var log = WatchLog.Follow(watch);
        await using var writer = Writer.Start(client, prefix);
        await Eventually.IsTrue(() => writer.Written > 20);

        var gaps = new List<TimeSpan>();
        var limits = new List<TimeSpan> { TimeSpan.FromSeconds(2) };
        for (var kill = 1; kill <= Kills; kill++)
        {
            var leader = await cluster.FindLeaderAsync();
            writer.ResetLongestGap();
            log.ResetLongestGap();
            var before = writer.Written;
            await leader.KillAsync();
            var election = await cluster.MeasureElectionAsync(leader);
            await Eventually.IsTrue(() => writer.Written > before + 50);

            // An election that is split takes etcd itself longer than two seconds. What we add to it is at most one attempt (AttemptTimeout, 1 s)
            // that a member took just before it knew of the new leader, and a moment.
            limits.Add(election + TimeSpan.FromMilliseconds(1500));
            gaps.Add(writer.LongestGap);
            gaps.Add(log.LongestGap);
            output.WriteLine(
                $"kill {kill}: {leader.Name}; election {election.TotalMilliseconds:0} ms, longest gap between two writes "
                + $"{writer.LongestGap.TotalMilliseconds:0} ms, between two events {log.LongestGap.TotalMilliseconds:0} ms");
            await cluster.StartMemberAsync(leader);
        }

        await writer.StopAsync();
        await log.AssertIsWholeHistoryAsync(client, prefix);
        Assert.Equal(Enumerable.Range(0, writer.Written).Select(i => $"{i}"), log.Events.Select(e => Text(e.Record.Value)).Distinct());
        output.WriteLine(
            $"{Kills} leaders killed: {writer.Failures} of {writer.Written} writes failed, no event was lost, longest gap {gaps.Max().TotalMilliseconds:0} ms");
        Assert.Equal(0, writer.Failures);
        Assert.InRange(gaps.Max(), TimeSpan.Zero, limits.Max());
    }
}

/// <summary>Writes one number after the other, each until it is confirmed.</summary>
internal sealed class Writer : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly EtcdClient _client;
    private readonly string _prefix;
    private Task _running = Task.CompletedTask;
    private long _gap;
    private long _confirmedAt = Stopwatch.GetTimestamp();

    private Writer(EtcdClient client, string prefix) => (_client, _prefix) = (client, prefix);

    public int Written { get; private set; }

    /// <summary>How many writes failed after all attempts, and were made again.</summary>
    public int Failures { get; private set; }

    public TimeSpan LongestGap => Stopwatch.GetElapsedTime(0, Interlocked.Read(ref _gap));

    public static Writer Start(EtcdClient client, string prefix)
    {
        var writer = new Writer(client, prefix);
        writer._running = Task.Run(writer.RunAsync);
        return writer;
    }

    public void ResetLongestGap() => Interlocked.Exchange(ref _gap, 0);

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await _client.PutAsync($"{_prefix}{Written % 10}", Bytes($"{Written}"));
                Written++;
                var now = Stopwatch.GetTimestamp();
                Interlocked.Exchange(ref _gap, Math.Max(Interlocked.Read(ref _gap), now - _confirmedAt));
                _confirmedAt = now;
            }
            catch (EtcdException)
            {
                Failures++;
            }
        }
    }
}

internal static class ClusterExtensions
{
    /// <summary>How long the others take to agree on a new leader, by their own word, after one was killed just now.</summary>
    public static async Task<TimeSpan> MeasureElectionAsync(this EtcdCluster cluster, EtcdMember killed)
    {
        var since = Stopwatch.GetTimestamp();
        var clients = cluster.Members.Where(m => m != killed).Select(m => Connect(m.Endpoint)).ToList();
        var former = (await clients[0].GetStatusAsync()).LeaderId;
        await Eventually.IsTrue(async () => (await clients[0].GetStatusAsync()).LeaderId is not 0 and var a && a != former
            && (await clients[1].GetStatusAsync()).LeaderId == a);
        var took = Stopwatch.GetElapsedTime(since);
        await Task.WhenAll(clients.Select(c => c.DisposeAsync().AsTask()));
        return took;
    }

    /// <summary>The member that leads, by the word of all that answer.</summary>
    public static async Task<EtcdMember> FindLeaderAsync(this EtcdCluster cluster)
    {
        EtcdMember? leader = null;
        await Eventually.IsTrue(async () =>
        {
            foreach (var member in cluster.Members)
            {
                await using var client = Connect(member.Endpoint);
                try
                {
                    var status = await client.GetStatusAsync();
                    leader = status.LeaderId == status.MemberId ? member : leader;
                }
                catch (EtcdException)
                {
                    // Down.
                }
            }

            return leader is not null;
        });
        return leader!;
    }
}
