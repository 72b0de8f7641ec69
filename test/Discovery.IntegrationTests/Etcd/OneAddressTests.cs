using System.Globalization;
using Discovery.Etcd;
using Xunit.Abstractions;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>Several members behind one address, of which not every one serves: a Kubernetes service, or etcd's gateway.</summary>
public sealed class OneAddressTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_watch_whose_connection_ends_at_a_learner_is_opened_over_another_one()
    {
        await using var etcd = await EtcdProcess.StartAsync();
        var directory = Directory.CreateTempSubdirectory("etcd-learner-").FullName;
        var (client, peer, address) = (Url(), Url(), Url());
        await Etcdctl.RunAsync(etcd.Endpoint, "member", "add", "learner", "--learner", "--peer-urls", peer);
        var members = await Etcdctl.RunAsync(etcd.Endpoint, "member", "list");
        var voter = members.Split('\n').Single(l => l.Contains(etcd.Member.Name, StringComparison.Ordinal)).Split(", ");
        await using var learner = await OwnedProcess.StartAsync(
            EtcdBinary.Etcd,
            [
                "--name", "learner", "--data-dir", Path.Combine(directory, "data"), "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", $"{voter[2]}={voter[3]},learner={peer}",
                "--initial-cluster-state", "existing", "--logger", "zap",
            ],
            directory);
        await using var direct = Connect(client, o => o.RequestTimeout = TimeSpan.FromSeconds(2));
        await Eventually.IsTrue(async () =>
        {
            Assert.False(learner.HasExited, learner.Output);
            var error = await Record.ExceptionAsync(() => direct.GetAsync("x"));
            return error?.Message.Contains("not supported for learner", StringComparison.Ordinal) is true;
        });
        await using var gateway = await OwnedProcess.StartAsync(
            EtcdBinary.Etcd, ["gateway", "start", "--endpoints", $"{Bare(client)},{Bare(etcd.Endpoint)}", "--listen-addr", Bare(address)]);

        for (var i = 0; i < 4; i++)
        {
            await using var behind = Connect(address);
            await using var watch = behind.Watch("x", 1);
            var log = WatchLog.Follow(watch);
            var since = TimeProvider.System.GetTimestamp();
            await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));
            output.WriteLine(
                $"open after {TimeProvider.System.GetElapsedTime(since).TotalMilliseconds:0} ms{(log.Kinds.Contains(EtcdWatchUpdateKind.Interrupted) ? ", at first at the learner" : "")}");
        }
    }

    private static string Url() => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{FreePort.Next()}");

    private static string Bare(string url) => url["http://".Length..];
}
