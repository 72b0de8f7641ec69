using Discovery.Etcd;
using Microsoft.Extensions.Logging;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>A keeper while etcd is away, and one that has nothing to keep.</summary>
public sealed class KeeperOutageTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task An_outage_is_one_warning_and_one_line_when_it_is_over()
    {
        using var log = new LogRecorder();
        using var loggers = LoggerFactory.Create(b => b.AddProvider(log).SetMinimumLevel(LogLevel.Debug));
        await using var etcd = await EtcdProcess.StartAsync();
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [etcd.Endpoint], RequestTimeout = TimeSpan.FromSeconds(1) }, loggers);
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(2));
        keeper.Put("a", Bytes("1"));
        keeper.Put("b", Bytes("1"));
        await keeper.FlushAsync().WaitAsync(Limit);

        await etcd.KillAsync();
        await Eventually.IsTrue(() => keeper.Status is { State: EtcdLeaseState.Granting, LastError: not null, KeysStored: 0 });
        keeper.Update("a", Bytes("2"));
        await Eventually.IsTrue(() => log.At(LogLevel.Debug).Count(line => line.Contains("An attempt failed", StringComparison.Ordinal)) >= 4);
        await etcd.RestartAsync();
        await keeper.FlushAsync().WaitAsync(Limit);

        await Eventually.IsTrue(() => keeper.Status is { State: EtcdLeaseState.Held, LastError: null, KeysStored: 2 });
        Assert.Equal("2", Text((await client.GetAsync("a"))!.Value));
        Assert.Single(log.At(LogLevel.Warning));

        // Keeper and watch stream share the outage: the last of them to recover tells its length.
        static bool IsOver(string line)
            => line.Contains("available again", StringComparison.Ordinal) || line.Contains("is open again", StringComparison.Ordinal);
        await Eventually.IsTrue(() => log.At(LogLevel.Information).Any(IsOver));
        Assert.Single(log.At(LogLevel.Information), IsOver);
    }

    [Fact]
    public async Task After_etcd_lost_its_data_it_is_asked_for_the_lease_before_anything_is_put_on_it()
    {
        await using var etcd = await EtcdProcess.StartAsync();
        await using var client = Connect(etcd.Endpoint);
        await using var keeper = client.KeepLease(TimeSpan.FromMinutes(1));
        keeper.Put("a", Bytes("1"));
        keeper.Put("b", Bytes("1"));
        await keeper.FlushAsync().WaitAsync(Limit);
        var lease = keeper.Status.LeaseId;

        await etcd.KillAsync();
        etcd.Member.Wipe();
        await etcd.RestartAsync();

        await Eventually.IsTrue(() => keeper.Status is { State: EtcdLeaseState.Held, KeysStored: 2 } s && s.LeaseId != lease);
        Assert.Equal(keeper.Status.LeaseId, (await client.GetAsync("a"))!.LeaseId);
        Assert.Equal(keeper.Status.LeaseId, (await client.GetAsync("b"))!.LeaseId);
        using var http = new HttpClient();
        var refused = (await http.GetStringAsync(etcd.Endpoint + "/metrics")).Split('\n')
            .Where(l => l.StartsWith("grpc_server_handled_total{grpc_code=\"NotFound\"", StringComparison.Ordinal) && !l.EndsWith(" 0", StringComparison.Ordinal));
        Assert.Empty(refused);
    }

    [Fact]
    public async Task A_removal_that_is_pending_when_the_lease_is_lost_is_carried_out_without_one()
    {
        await using var etcd = await EtcdProcess.StartAsync();
        await using var client = Connect(etcd.Endpoint, o => o.RequestTimeout = TimeSpan.FromSeconds(1));
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(9));
        keeper.Put("a", Bytes("1"));
        await keeper.FlushAsync().WaitAsync(Limit);
        var lease = keeper.Status.LeaseId;

        await etcd.KillAsync();
        keeper.Remove("a");
        await Eventually.IsTrue(() => keeper.Status is { State: EtcdLeaseState.Idle, LastError: not null });
        await etcd.RestartAsync();

        // It would stay for as long as the lease lives, which etcd extends after its own restart.
        await keeper.FlushAsync().WaitAsync(Limit);
        Assert.Null(await client.GetAsync("a"));
        Assert.NotNull(await client.RenewLeaseAsync(lease));
        await Eventually.IsTrue(() => keeper.Status is { State: EtcdLeaseState.Idle, KeysDesired: 0, LastError: null });
        await keeper.StopAsync();
        Assert.Null(await client.RenewLeaseAsync(lease));
    }

    [Fact]
    public async Task A_lease_without_keys_is_let_go_and_another_one_is_there_for_the_next_key()
    {
        await using var etcd = await EtcdProcess.StartAsync();
        await using var client = Connect(etcd.Endpoint);
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(6));
        keeper.Put("a", Bytes("1"));
        await keeper.FlushAsync().WaitAsync(Limit);
        var lease = keeper.Status.LeaseId;

        keeper.Remove("a");
        await Eventually.IsTrue(() => keeper.Status is { State: EtcdLeaseState.Idle, LeaseId: 0 });
        await Eventually.IsTrue(async () => !(await Etcdctl.RunAsync(etcd.Endpoint, "lease", "list")).Contains($"{lease:x}", StringComparison.Ordinal));

        keeper.Put("a", Bytes("2"));
        await keeper.FlushAsync().WaitAsync(Limit);
        Assert.Equal(keeper.Status.LeaseId, (await client.GetAsync("a"))!.LeaseId);
        Assert.NotEqual(lease, keeper.Status.LeaseId);
    }
}
