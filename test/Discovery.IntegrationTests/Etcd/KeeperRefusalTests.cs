using Discovery.Etcd;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>A keeper whose user may not do everything.</summary>
public sealed class KeeperRefusalTests(AuthNode node) : IClassFixture<AuthNode>, IDisposable
{
    private static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly LogRecorder _log = new();

    // But for the one that the password goes unencrypted.
    private IEnumerable<string> Warnings => _log.At(LogLevel.Warning).Where(line => !line.StartsWith("Etcd:Username", StringComparison.Ordinal));

    [Fact]
    public async Task A_stop_takes_the_keys_away_although_another_one_is_refused()
    {
        await using var client = node.Connect();
        var (good, bad) = ("app/" + NewPrefix(), "closed/" + NewPrefix());
        await using var keeper = client.KeepLease(TimeToLive);
        keeper.Put(bad, Bytes("1"));
        keeper.Put(good, Bytes("1"));
        await Eventually.IsTrue(() => keeper.Status is { KeysStored: 1, LastError: not null });
        var lease = keeper.Status.LeaseId;

        await keeper.StopAsync();

        Assert.Null(await client.GetAsync(good));
        Assert.Null(await client.RenewLeaseAsync(lease));
    }

    [Fact]
    public async Task A_stop_takes_all_keys_away_but_one_that_may_not_be_written_any_more()
    {
        var prefix = NewPrefix();
        await using var client = await ConnectAsync("readwrite", prefix + "a/", prefix + "b/");
        await using var keeper = client.KeepLease(TimeToLive);
        keeper.Put(prefix + "a/1", Bytes("1"));
        keeper.Put(prefix + "b/1", Bytes("1"));
        await keeper.FlushAsync().WaitAsync(Limit);
        await node.RunAsync("role", "revoke-permission", RoleOf(prefix + "a/"), "--prefix=true", prefix + "a/");

        var error = await Assert.ThrowsAsync<EtcdException>(() => keeper.StopAsync());

        Assert.Equal(StatusCode.PermissionDenied, error.StatusCode);
        Assert.Null(await client.GetAsync(prefix + "b/1"));
    }

    [Fact]
    public async Task A_refusal_ends_when_the_permission_is_granted()
    {
        var prefix = NewPrefix();
        await using var client = await ConnectAsync("read", prefix);
        await using var keeper = client.KeepLease(TimeToLive);
        keeper.Put(prefix + "a", Bytes("1"));
        await Eventually.IsTrue(() => keeper.Status.LastError is EtcdException { StatusCode: StatusCode.PermissionDenied });
        Assert.Null(keeper.Status.ReadError);

        await node.RunAsync("role", "grant-permission", RoleOf(prefix), "readwrite", "--prefix=true", prefix);

        await keeper.FlushAsync().WaitAsync(Limit);
        await Eventually.IsTrue(() => keeper.Status is { KeysStored: 1, LastError: null });
        Assert.Contains("etcd refuses", Assert.Single(Warnings), StringComparison.Ordinal);
        Assert.True(_log.Has(LogLevel.Information, "does not refuse"));
    }

    [Fact]
    public async Task A_role_that_may_only_write_is_enough_and_what_it_costs_is_said_once()
    {
        var prefix = NewPrefix();
        await using var client = await ConnectAsync("write", prefix);
        await using var keeper = client.KeepLease(TimeToLive);
        foreach (var name in (string[])["a", "b", "c"])
        {
            keeper.Put(prefix + name, Bytes("serving"));
        }

        await keeper.FlushAsync().WaitAsync(Limit);
        Assert.Equal(["serving", "serving", "serving"], await ValuesAsync(prefix));
        await Eventually.IsTrue(() => keeper.Status is { KeysStored: 3, LastError: null, ReadError: EtcdException });

        keeper.Update(prefix + "a", Bytes("draining"));
        keeper.Remove(prefix + "b");
        await keeper.FlushAsync().WaitAsync(Limit);
        Assert.Equal(["draining", "serving"], await ValuesAsync(prefix));

        var lease = keeper.Status.LeaseId;
        await keeper.StopAsync();
        Assert.Empty(await ValuesAsync(prefix));
        Assert.Null(await client.RenewLeaseAsync(lease));
        Assert.Contains("written but not read", Assert.Single(Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_last_key_of_a_role_that_may_only_write_is_removed_with_its_lease_and_not_from_a_successor()
    {
        var prefix = NewPrefix();
        await using var client = await ConnectAsync("write", prefix);
        await using var keeper = client.KeepLease(TimeToLive);
        keeper.Put(prefix + "mine", Bytes("1"));
        await keeper.FlushAsync().WaitAsync(Limit);
        var lease = keeper.Status.LeaseId;
        await client.PutAsync(prefix + "mine", Bytes("successor"));

        keeper.Remove(prefix + "mine");
        await keeper.FlushAsync().WaitAsync(Limit);

        Assert.Equal(["successor"], await ValuesAsync(prefix));
        Assert.Null(await client.RenewLeaseAsync(lease));
        await Eventually.IsTrue(() => keeper.Status is { State: EtcdLeaseState.Idle, KeysDesired: 0, LastError: null, ReadError: null });

        keeper.Put(prefix + "mine", Bytes("2"));
        await keeper.FlushAsync().WaitAsync(Limit);
        Assert.Equal(["2"], await ValuesAsync(prefix));
    }

    public void Dispose() => _log.Dispose();

    private static string RoleOf(string prefix) => "role-" + prefix.Replace("/", "", StringComparison.Ordinal);

    /// <summary>A client of a user whose only role has this permission on these prefixes, each by a role of its own.</summary>
    private async Task<EtcdClient> ConnectAsync(string permission, params string[] prefixes)
    {
        var user = $"u{Guid.NewGuid():N}";
        await node.RunAsync("user", "add", $"{user}:{AuthNode.Password}");
        foreach (var prefix in prefixes)
        {
            await node.RunAsync("role", "add", RoleOf(prefix));
            await node.RunAsync("role", "grant-permission", RoleOf(prefix), permission, "--prefix=true", prefix);
            await node.RunAsync("user", "grant-role", user, RoleOf(prefix));
        }

        return new EtcdClient(
            new EtcdClientOptions { Endpoints = [node.Endpoint], Username = user, Password = AuthNode.Password },
            LoggerFactory.Create(b => b.AddProvider(_log).SetMinimumLevel(LogLevel.Debug)));
    }

    private async Task<string[]> ValuesAsync(string prefix) =>
        (await node.RunAsync("get", "--prefix", prefix, "--print-value-only")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
