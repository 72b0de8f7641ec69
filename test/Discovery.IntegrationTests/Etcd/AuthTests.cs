using Discovery.Etcd;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>An etcd with users and roles, whose tokens live for two seconds.</summary>
public sealed class AuthTests(AuthNode node) : IClassFixture<AuthNode>
{
    [Fact]
    public async Task Without_a_user_the_error_names_the_setting()
    {
        await using var client = Connect(node.Endpoint);

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.ListAsync("app/"));

        Assert.Equal(StatusCode.InvalidArgument, error.StatusCode);
        Assert.Contains("user name is empty", error.Message, StringComparison.Ordinal);
        Assert.Contains("set Etcd:Username", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_password_is_told_without_telling_it()
    {
        await using var client = Connect(node.Endpoint, o => (o.Username, o.Password) = ("app", "not-the-password"));

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.ListAsync("app/"));

        Assert.Equal("Authenticate", error.Operation);
        Assert.Contains("Etcd:Username, which is 'app', and Etcd:Password", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("not-the-password", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_user_without_a_password_is_told_as_such_and_asked_for_as_seldom_as_one_with_a_wrong_password()
    {
        await node.RunAsync("user", "add", "certified", "--no-password");
        using var log = new LogRecorder();
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [node.Endpoint], Username = "certified", Password = "geheim" }, LoggerFactory.Create(l => l.AddProvider(log)));

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.ListAsync("app/"));

        Assert.Equal(EtcdErrorReason.AuthenticationFailed, error.Reason);
        Assert.Contains("was added with --no-password", error.Message, StringComparison.Ordinal);
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(60));
        keeper.Put("app/a", Bytes("x"));
        await Eventually.IsTrue(() => log.Has(LogLevel.Warning, "etcd refuses to keep the lease", "--no-password"));
    }

    [Fact]
    public async Task Many_prefixes_are_refused_where_one_is_and_can_be_had_one_by_one()
    {
        await using var client = node.Connect();

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.ListManyAsync(["app/a/", "other/", "app/b/"]));

        Assert.Equal(StatusCode.PermissionDenied, error.StatusCode);
        Assert.Equal(2, (await client.ListManyAsync(["app/a/", "app/b/"])).Count);
    }

    [Fact]
    public async Task Tokens_that_expire_are_renewed_and_the_watch_goes_on()
    {
        await using var client = node.Connect();
        await using var watch = client.Watch("app/", 0);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));

        for (var i = 0; i < 3; i++)
        {
            await AuthNode.ExpireTokensAsync();
            await client.PutAsync("app/a", Bytes($"{i}"));
        }

        await Eventually.IsTrue(() => log.Events.Count == 3);
        Assert.DoesNotContain(EtcdWatchUpdateKind.Rejected, log.Kinds);
    }

    [Fact]
    public async Task A_watch_that_is_added_after_the_streams_token_expired_is_not_refused()
    {
        await using var client = node.Connect();
        await using var first = client.Watch("app/x/", 0);
        var log = WatchLog.Follow(first);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));
        await AuthNode.ExpireTokensAsync();

        await using var second = client.Watch("app/y/", 0);
        var secondLog = WatchLog.Follow(second);

        await Eventually.IsTrue(() => secondLog.Kinds.Contains(EtcdWatchUpdateKind.Opened));
        await client.PutAsync("app/y/1", Bytes("x"));
        await client.PutAsync("app/x/1", Bytes("x"));
        await Eventually.IsTrue(() => secondLog.Events.Count == 1 && log.Events.Count == 1);
        Assert.DoesNotContain(EtcdWatchUpdateKind.Rejected, secondLog.Kinds);
    }

    [Fact]
    public async Task Permission_denied_on_one_prefix_leaves_the_others_alone_and_ends_when_it_is_granted()
    {
        await using var client = node.Connect();
        var closed = $"closed{Guid.NewGuid():N}/";
        await using var denied = client.Watch(closed, 0);
        await using var allowed = client.Watch("app/z/", 0);
        var (deniedLog, allowedLog) = (WatchLog.Follow(denied), WatchLog.Follow(allowed));

        await Eventually.IsTrue(() => deniedLog.Kinds.Contains(EtcdWatchUpdateKind.Rejected) && allowedLog.Kinds.Contains(EtcdWatchUpdateKind.Opened));
        var reason = deniedLog.Updates.First(u => u.Kind == EtcdWatchUpdateKind.Rejected).Error!;
        Assert.Equal(StatusCode.PermissionDenied, reason.StatusCode);
        Assert.Contains("No role of the user 'app' allows it", reason.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<EtcdException>(() => client.PutAsync(closed + "a", Bytes("x")));
        await client.PutAsync("app/z/1", Bytes("x"));
        await Eventually.IsTrue(() => allowedLog.Events.Count == 1);
        Assert.DoesNotContain(EtcdWatchUpdateKind.Interrupted, allowedLog.Kinds);

        // Changing roles makes all tokens old, too.
        await node.RunAsync("role", "grant-permission", "app", "readwrite", "--prefix=true", closed);
        await client.PutAsync(closed + "a", Bytes("x"));
        await Eventually.IsTrue(() => deniedLog.Kinds.Contains(EtcdWatchUpdateKind.Opened));
        await client.PutAsync(closed + "a", Bytes("y"));
        await Eventually.IsTrue(() => deniedLog.Events is [.., var last] && Text(last.Record.Value) == "y");
    }

    [Fact]
    public async Task A_keeper_holds_its_lease_while_tokens_expire()
    {
        await using var client = node.Connect();
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(9));
        keeper.Put("app/kept", Bytes("1"));
        await keeper.FlushAsync();
        var lease = keeper.Status.LeaseId;

        // Longer than the lease, and its tokens expire between one renewal and the next.
        await AuthNode.ExpireTokensAsync();
        await AuthNode.ExpireTokensAsync();
        await AuthNode.ExpireTokensAsync();
        keeper.Put("app/kept", Bytes("2"));
        await keeper.FlushAsync();

        Assert.Equal(lease, keeper.Status.LeaseId);
        await keeper.StopAsync();
        Assert.Null(await client.GetAsync("app/kept"));
    }

    [Fact]
    public async Task A_crowd_of_callers_authenticates_once()
    {
        using var log = new LogRecorder();
        using var loggers = LoggerFactory.Create(b => b.AddProvider(log).SetMinimumLevel(LogLevel.Trace));
        await using var proxy = TcpProxy.Start(node.Etcd.ClientPort);
        await using var client = new EtcdClient(
            new EtcdClientOptions
            {
                Endpoints = [proxy.Endpoint],
                Username = "app",
                Password = AuthNode.Password,

                // An attempt that a slow machine gives up would be made again, and count.
                AttemptTimeout = TimeSpan.FromSeconds(30),
                RequestTimeout = TimeSpan.FromSeconds(30),
            },
            loggers);
        var before = await node.CountAuthenticationsAsync();

        await Task.WhenAll(Enumerable.Range(0, 100).Select(i => client.PutAsync($"app/crowd/{i}", Bytes("x"))));

        Assert.Equal(before + 1, await node.CountAuthenticationsAsync());
        Assert.DoesNotContain(log.Lines, line => line.Contains(AuthNode.Password, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_token_from_after_the_backup_that_etcd_was_restored_from_is_replaced()
    {
        // etcd does not answer a call whose token has a later index than its own log.
        await using var etcd = await EtcdProcess.StartAsync(new EtcdProcessOptions { FastElections = true, ExtraArguments = ["--bcrypt-cost", "4"] });
        await EnableAsync();
        await using var client = Connect(etcd.Endpoint, o => (o.Username, o.Password) = ("root", "root-password"));
        await using (var writer = Connect(etcd.Endpoint, o => (o.Username, o.Password) = ("root", "root-password")))
        {
            for (var i = 0; i < 100; i++)
            {
                await writer.PutAsync("a", Bytes($"{i}"));
            }
        }

        await client.PutAsync("a", Bytes("before"));
        await using var watch = client.Watch("a", 0);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));
        await etcd.KillAsync();
        etcd.Member.Wipe();
        await etcd.RestartAsync();
        await EnableAsync();

        await client.PutAsync("a", Bytes("after"));
        Assert.Equal("after", Text((await client.GetAsync("a"))!.Value));

        async Task EnableAsync()
        {
            await Etcdctl.RunAsync(etcd.Endpoint, "user", "add", "root:root-password");
            await Etcdctl.RunAsync(etcd.Endpoint, "user", "grant-role", "root", "root");
            await Etcdctl.RunAsync(etcd.Endpoint, "auth", "enable");
        }
    }

    [Fact]
    public async Task Authentication_may_be_enabled_and_disabled_under_a_client_that_has_a_user()
    {
        await using var etcd = await EtcdProcess.StartAsync();
        await using var client = Connect(etcd.Endpoint, o => (o.Username, o.Password) = ("root", "root-password"));
        await using var watch = client.Watch("a", 0);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(60));
        keeper.Put("a/kept", Bytes("0"));
        await keeper.FlushAsync();
        await client.PutAsync("a", Bytes("1"));

        await Etcdctl.RunAsync(etcd.Endpoint, "user", "add", "root:root-password");
        await Etcdctl.RunAsync(etcd.Endpoint, "user", "grant-role", "root", "root");
        await Etcdctl.RunAsync(etcd.Endpoint, "auth", "enable");
        await client.PutAsync("a", Bytes("2"));
        keeper.Put("a/kept", Bytes("1"));
        await keeper.FlushAsync();
        await using var late = client.Watch("b", 0);
        var lateLog = WatchLog.Follow(late);
        await Eventually.IsTrue(() => lateLog.Kinds.Contains(EtcdWatchUpdateKind.Opened));

        await Etcdctl.RunAsync(etcd.Endpoint, "--user", "root:root-password", "auth", "disable");
        await client.PutAsync("a", Bytes("3"));
        await client.PutAsync("b", Bytes("4"));

        await Eventually.IsTrue(() => log.Events.Count == 5 && lateLog.Events.Count == 1);
        Assert.Equal(["0", "1", "2", "1", "3"], log.Events.Select(e => Text(e.Record.Value)));
        Assert.DoesNotContain(EtcdWatchUpdateKind.Rejected, lateLog.Kinds);
    }
}
