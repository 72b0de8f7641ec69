using System.Text;
using Discovery.EmbeddedEtcd;
using Discovery.Etcd.DotnetEtcd.Tests.Support;
using Etcdserverpb;
using Google.Protobuf;
using Grpc.Core;
using dotnet_etcd.interfaces;

namespace Discovery.Etcd.DotnetEtcd.Tests;

/// <summary>dotnet-etcd's other methods, over our connections.</summary>
public abstract class CallTests(Backend backend) : IAsyncLifetime
{
    private EtcdClient _etcd = null!;

    protected string Prefix { get; } = Backend.NewPrefix();

    protected IEtcdClient Client { get; private set; } = null!;

    public Task InitializeAsync()
    {
        (_etcd, Client) = backend.Connect(backend.Endpoint);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        Client.Dispose();
        await _etcd.DisposeAsync();
    }

    [Fact]
    public async Task Puts_gets_and_deletes()
    {
        await Client.PutAsync(Prefix + "a", "1");
        Client.Put(Prefix + "b", "2");

        Assert.Equal("1", Client.GetVal(Prefix + "a"));
        Assert.Equal(["1", "2"], (await Client.GetRangeValAsync(Prefix)).Values.Order(StringComparer.Ordinal));
        Assert.Equal(2, (await Client.DeleteRangeAsync(Prefix)).Deleted);
    }

    [Fact]
    public async Task A_lock_goes_from_one_to_the_next()
    {
        var first = await Client.LockAsync(Prefix + "lock", await GrantAsync());
        var second = Client.LockAsync(Prefix + "lock", await GrantAsync());
        await Eventually.IsTrue(async () => (await Client.GetRangeAsync(Prefix)).Kvs.Count == 2);
        Assert.False(second.IsCompleted);

        await Client.UnlockAsync(first.Key.ToStringUtf8());

        Assert.NotEqual(first.Key, (await second).Key);
        await Client.UnlockAsync((await second).Key.ToStringUtf8());
        Assert.Empty((await Client.GetRangeAsync(Prefix)).Kvs);
    }

    [Fact]
    public async Task A_lock_is_free_when_its_lease_ends()
    {
        var lease = await GrantAsync();
        var first = await Client.LockAsync(Prefix + "lock", lease);
        var second = Client.LockAsync(Prefix + "lock", await GrantAsync());
        await Eventually.IsTrue(async () => (await Client.GetRangeAsync(Prefix)).Kvs.Count == 2);

        await Client.LeaseRevokeAsync(new LeaseRevokeRequest { ID = lease });

        Assert.NotEqual(first.Key, (await second).Key);
    }

    [Fact]
    public async Task The_same_lease_locks_twice_and_a_lease_that_is_gone_not_at_all()
    {
        var lease = await GrantAsync();

        Assert.Equal((await Client.LockAsync(Prefix + "lock", lease)).Key, (await Client.LockAsync(Prefix + "lock", lease)).Key);
        await Client.LeaseRevokeAsync(new LeaseRevokeRequest { ID = lease });
        var error = await Assert.ThrowsAnyAsync<RpcException>(() => Client.LockAsync(Prefix + "lock", lease));
        Assert.Contains("lease not found", error.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Whoever_waits_for_a_lock_can_stop_waiting()
    {
        await Client.LockAsync(Prefix + "lock", await GrantAsync());
        using var cancellation = new CancellationTokenSource();
        var second = Client.LockAsync(Prefix + "lock", await GrantAsync(), cancellationToken: cancellation.Token);
        await Eventually.IsTrue(async () => (await Client.GetRangeAsync(Prefix)).Kvs.Count == 2);

        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
    }

    [Fact]
    public async Task A_lock_that_waits_longer_than_a_request_may_take_is_not_given_up()
    {
        // Etcd:RequestTimeout is 5 s; that of other calls is not that of a lock.
        var first = await Client.LockAsync(Prefix + "lock", await GrantAsync());
        var second = Client.LockAsync(Prefix + "lock", await GrantAsync());
        var since = TimeProvider.System.GetTimestamp();
        await Eventually.IsTrue(() => second.IsCompleted || TimeProvider.System.GetElapsedTime(since) > TimeSpan.FromSeconds(6));
        Assert.False(second.IsCompleted);

        await Client.UnlockAsync(first.Key.ToStringUtf8());

        Assert.Equal($"{Prefix}lock/", (await second).Key.ToStringUtf8()[..(Prefix.Length + 5)]);
    }

    [Fact]
    public async Task A_deadline_of_the_callers_own_ends_as_a_cancellation()
    {
        await Client.LockAsync(Prefix + "lock", await GrantAsync());

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await Client.LockAsync(Prefix + "lock", await GrantAsync(), deadline: DateTime.UtcNow.AddMilliseconds(300)));
    }

    protected async Task<long> GrantAsync() => (await Client.LeaseGrantAsync(new LeaseGrantRequest { TTL = 60 })).ID;
}

public sealed class CallsOnEmbedded(EmbeddedBackend backend) : CallTests(backend), IClassFixture<EmbeddedBackend>
{
    [Fact]
    public async Task Whoever_stops_waiting_for_a_lock_stands_in_nobodys_way()
    {
        var first = await Client.LockAsync(Prefix + "lock", await GrantAsync());
        using var cancellation = new CancellationTokenSource();
        var second = Client.LockAsync(Prefix + "lock", await GrantAsync(), cancellationToken: cancellation.Token);
        await Eventually.IsTrue(async () => (await Client.GetRangeAsync(Prefix)).Kvs.Count == 2);
        var third = Client.LockAsync(Prefix + "lock", await GrantAsync());

        await cancellation.CancelAsync();
        await Client.UnlockAsync(first.Key.ToStringUtf8());

        await third;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        Assert.Equal((await third).Key, Assert.Single((await Client.GetRangeAsync(Prefix)).Kvs).Key);
    }
}

[Trait(Needs.Name, Needs.Etcd)]
public sealed class CallsOnEtcd(SecureBackend backend) : CallTests(backend), IClassFixture<SecureBackend>
{
    [Fact]
    public async Task A_watch_without_permission_is_refused_with_the_remedy()
    {
        var error = await Assert.ThrowsAsync<EtcdException>(() => Client.WatchRangeAsync("other/", (WatchResponse _) => { }));

        Assert.Equal(EtcdErrorReason.PermissionDenied, error.Reason);
        Assert.Contains("grant-permission", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_password_goes_over_TLS_alone()
    {
        await using var secure = Record(new Uri(backend.Endpoint).Port);
        var (etcd, client) = backend.Connect($"https://127.0.0.1:{secure.Port}");
        await using (etcd)
        {
            await client.PutAsync(Prefix + "a", "1");
        }

        Assert.NotEmpty(secure.RecordedRequests);
        Assert.False(Holds(secure, Backend.Password));
    }

    [Fact]
    public async Task An_https_endpoint_gets_no_password_in_clear()
    {
        // A server without TLS takes whatever comes.
        await using var server = await EmbeddedEtcdServer.StartAsync();
        await using var forAlone = Record(new Uri(server.Endpoint).Port);
        await using var forOurs = Record(new Uri(server.Endpoint).Port);

        using (var alone = new dotnet_etcd.EtcdClient($"https://127.0.0.1:{forAlone.Port}", Backend.User, Backend.Password))
        {
            await Xunit.Record.ExceptionAsync(() => alone.PutAsync(Prefix + "a", "1"));
        }

        var (etcd, client) = backend.Connect($"https://127.0.0.1:{forOurs.Port}");
        await using (etcd)
        {
            await Assert.ThrowsAsync<EtcdException>(() => client.GetAsync(Prefix + "a"));
        }

        Assert.True(Holds(forAlone, Backend.Password));
        Assert.NotEmpty(forOurs.RecordedRequests);
        Assert.False(Holds(forOurs, Backend.Password));
    }

    private static TcpProxy Record(int target)
    {
        var proxy = TcpProxy.Start(target);
        proxy.RecordsRequests = true;
        return proxy;
    }

    private static bool Holds(TcpProxy proxy, string text) => proxy.RecordedRequests.AsSpan().IndexOf(Encoding.UTF8.GetBytes(text)) >= 0;
}
