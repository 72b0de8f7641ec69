using Discovery.Etcd.Protocol;
using Grpc.Core;

namespace Discovery.Etcd.Tests.Calls;

/// <summary>What a failure means is read from etcd's own words, never from ours, which name users and keys.</summary>
public sealed class ReasonTests
{
    [Theory]
    [InlineData("etcdserver: permission denied", EtcdErrorReason.PermissionDenied)]
    [InlineData("etcdserver: authentication failed, invalid user ID or password", EtcdErrorReason.AuthenticationFailed)]
    [InlineData("auth: authentication failed, password was given for no password user", EtcdErrorReason.AuthenticationFailed)]
    [InlineData("etcdserver: corrupt cluster", EtcdErrorReason.Corrupt)]
    [InlineData("etcdserver: requested lease not found", EtcdErrorReason.LeaseNotFound)]
    [InlineData("etcdserver: mvcc: database space exceeded", EtcdErrorReason.NoSpace)]
    [InlineData("etcdserver: request is too large", EtcdErrorReason.RequestTooLarge)]
    [InlineData("etcdserver: something new", EtcdErrorReason.Unspecified)]
    public async Task A_user_or_key_with_etcds_words_in_its_name_means_nothing(string detail, EtcdErrorReason reason)
    {
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.Authenticate, () => new AuthenticateResponse { Token = "t" });
        server.On(EtcdMethods.Put, http => ScriptedServer.RefuseAsync(http, StatusCode.FailedPrecondition, detail));
        await using var client = new EtcdClient(new EtcdClientOptions
        {
            Endpoints = [server.Endpoint],
            Username = "etcdserver: permission denied",
            Password = "mvcc: required revision has been compacted",
        });

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.PutAsync("etcdserver: permission denied", default));

        Assert.Equal((reason, StatusCode.FailedPrecondition), (error.Reason, error.StatusCode));
    }

    [Theory]
    [InlineData("Range", "grant-permission <role> read --prefix=true")]
    [InlineData("Put", "grant-permission <role> readwrite --prefix=true")]
    [InlineData("MemberList", "user grant-role reader root")]
    public async Task The_hint_of_a_missing_permission_asks_for_no_more_than_the_operation_needs(string operation, string hint)
    {
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.Authenticate, () => new AuthenticateResponse { Token = "t" });
        foreach (var method in (string[])[EtcdMethods.Range, EtcdMethods.Put, EtcdMethods.MemberList])
        {
            server.On(method, static http => ScriptedServer.RefuseAsync(http, StatusCode.PermissionDenied, "etcdserver: permission denied"));
        }

        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [server.Endpoint], Username = "reader", Password = "p" });

        var error = await Assert.ThrowsAsync<EtcdException>(async () => _ = operation switch
        {
            "Range" => (object)await client.ListAsync("a/"),
            "Put" => await client.PutAsync("a/b", default),
            _ => await new Cluster.ClusterClient(client.CreateCallInvoker()).MemberListAsync(new MemberListRequest()),
        });

        Assert.Contains(hint, error.Message, StringComparison.Ordinal);
    }
}
