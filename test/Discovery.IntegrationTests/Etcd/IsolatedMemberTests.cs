using System.Globalization;
using Discovery.Etcd;
using Discovery.IntegrationTests.Registration;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>Three members behind one address, one of which loses the others while clients still reach it.</summary>
public sealed class IsolatedMemberTests
{
    private const int Count = 4;

    [NetworkNamespaceFact]
    public async Task Watches_and_leases_leave_a_member_that_lost_its_peers_though_it_hides_behind_the_same_address()
    {
        await using var machine = NetworkNamespace.Create();
        machine.AddSecondNetwork();
        var files = Directory.CreateTempSubdirectory("etcd-isolated-").FullName;
        string[] clients = [Url("127.0.0.1", FreePort.Next()), Url("127.0.0.1", FreePort.Next()), Url(machine.Address, 2379)];
        string[] peers = [Url(machine.SecondGateway, FreePort.Next()), Url(machine.SecondGateway, FreePort.Next()), Url(machine.SecondAddress, 2380)];
        var all = string.Join(',', peers.Select(static (peer, i) => $"m{i}={peer}"));
        var started = await Task.WhenAll(Enumerable.Range(0, 3).Select(i =>
        {
            string[] command =
            [
                .. i == 2 ? ["ip", "netns", "exec", machine.Name] : Array.Empty<string>(),
                EtcdBinary.Etcd, "--name", $"m{i}", "--data-dir", Path.Combine(files, $"m{i}"), "--listen-client-urls", clients[i], "--advertise-client-urls", clients[i],
                "--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i], "--initial-cluster", all, "--initial-cluster-token", machine.Name,
                "--logger", "zap",
            ];
            return OwnedProcess.StartAsync(command[0], command[1..]);
        }));
        var address = Url("127.0.0.1", FreePort.Next());
        await using var gateway = await OwnedProcess.StartAsync(
            EtcdBinary.Etcd, ["gateway", "start", $"--endpoints={string.Join(',', clients.Select(Bare))}", $"--listen-addr={Bare(address)}"]);
        try
        {
            await using var direct = Connect(clients[0]);
            await using var lost = Connect(clients[2], static o => o.RequestTimeout = TimeSpan.FromSeconds(2));
            await Eventually.IsTrue(async () => await Record.ExceptionAsync(() => lost.GetAsync("x")) is null, TimeSpan.FromSeconds(60));
            await direct.PutAsync("x/before", new byte[] { 1 });

            // Among so many, the connections of some end at the third member.
            List<(EtcdClient Client, WatchLog Watch, EtcdLeaseKeeper Keeper)> behind = [];
            for (var i = 0; i < Count; i++)
            {
                var client = Connect(address);
                var keeper = client.KeepLease(TimeSpan.FromSeconds(5));
                keeper.Put($"own/{i}", new byte[] { 1 });
                behind.Add((client, WatchLog.Follow(client.Watch("x", 1)), keeper));
            }

            await Eventually.IsTrue(() => behind.TrueForAll(static b => b.Watch.Events.Count == 1 && b.Keeper.Status.KeysStored == 1), TimeSpan.FromSeconds(60));

            machine.RemoveAddress(machine.SecondAddress, 24);
            await Eventually.IsTrue(async () => await Record.ExceptionAsync(() => lost.GetAsync("x")) is not null, TimeSpan.FromSeconds(60));
            await Eventually.IsTrue(async () => await Record.ExceptionAsync(() => direct.PutAsync("x/after", new byte[] { 2 })) is null, TimeSpan.FromSeconds(60));

            await Eventually.IsTrue(
                () => behind.TrueForAll(static b => b.Watch.Events.Any(static e => e.Record.Key == "x/after")), TimeSpan.FromSeconds(60), "Each watch hears of it");
            var listed = await direct.ListAsync("own/");
            Assert.Equal(Count, listed.Items.Count);
            Assert.All(behind, static b => Assert.Equal(EtcdLeaseState.Held, b.Keeper.Status.State));
            foreach (var (client, _, _) in behind)
            {
                await client.DisposeAsync();
            }
        }
        finally
        {
            foreach (var process in started)
            {
                await process.DisposeAsync();
            }
        }
    }

    private static string Url(string host, int port) => string.Create(CultureInfo.InvariantCulture, $"http://{host}:{port}");

    private static string Bare(string url) => url["http://".Length..];
}
