using Discovery.Etcd;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>Members forget etcd's simple tokens when they are restarted.</summary>
public sealed class AuthRestartTests
{
    [Fact]
    public async Task A_rolling_restart_of_a_cluster_with_users_costs_a_client_no_operation()
    {
        await using var cluster = await EtcdCluster.StartAsync();
        foreach (var command in (string[])["user add root:root-password", "user grant-role root root", "auth enable"])
        {
            await Etcdctl.RunAsync(cluster.Members[0].Endpoint, command.Split(' '));
        }

        await using var client = Connect(
            cluster.Endpoints, o => (o.Username, o.Password, o.RequestTimeout) = ("root", "root-password", TimeSpan.FromSeconds(20)));
        await client.PutAsync("a", Bytes("x"));
        await using var watch = client.Watch("a", 0);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));
        var puts = 0;
        foreach (var member in cluster.Members)
        {
            await member.KillAsync();
            await client.PutAsync("a", Bytes($"{++puts}"));
            await cluster.StartMemberAsync(member);
            await client.PutAsync("a", Bytes($"{++puts}"));
        }

        // The first member knows the token of nobody any more, and is asked by a client that has been elsewhere.
        await cluster.Members[1].KillAsync();
        await client.PutAsync("a", Bytes($"{++puts}"));
        await Eventually.IsTrue(() => log.Events.Any(e => Text(e.Record.Value) == $"{puts}"));
    }
}
