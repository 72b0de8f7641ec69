using Discovery.Etcd.Calls;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace Discovery.Etcd.Tests.Calls;

/// <summary>What an error says is to be done when no endpoint served.</summary>
public sealed class AdviceTests
{
    private const string Leader = "has no leader";

    [Theory]
    [InlineData("ResourceExhausted", "etcdserver: too many requests", "etcd is overloaded")]
    [InlineData("Unavailable", "etcdserver: rpc not supported for learner", "name the voting members in Etcd:Endpoints")]
    [InlineData("FailedPrecondition", "etcdserver: rpc not supported for learner", "name the voting members in Etcd:Endpoints")]
    [InlineData("Unavailable", "etcdserver: no leader", Leader)]
    [InlineData("Unavailable", "etcdserver: request timed out, possibly due to connection lost", Leader)]
    [InlineData("Unknown", "raft proposal dropped", Leader)]
    [InlineData("Unavailable", "no healthy upstream", "Check that etcd runs there")]
    [InlineData(null, null, Leader)]
    public async Task It_follows_from_what_the_endpoints_said(string? code, string? detail, string advice)
    {
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.Put, detail is null ? ScriptedServer.HangAsync : RefuseAsync);
        var clock = new FakeTimeProvider();
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [server.Endpoint], AttemptTimeout = detail is null ? TimeSpan.FromSeconds(1) : TimeSpan.FromHours(1), RequestTimeout = TimeSpan.FromMinutes(10) },
            timeProvider: clock);
        var call = client.PutAsync("a", default);

        // The time to connect and to be answered is the machine's.
        await Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(server.Calls.Contains(EtcdMethods.Put) ? 100 : 0));
            return call.IsCompleted || server.Calls.Count(static c => c == EtcdMethods.Put) >= 2;
        });
        await Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(5));
            return call.IsCompleted;
        });

        var error = await Assert.ThrowsAsync<EtcdException>(() => call);

        Assert.Contains(advice, error.Message, StringComparison.Ordinal);
        if (detail is null)
        {
            Assert.Contains("overloaded, or this machine is", error.Message, StringComparison.Ordinal);
            Assert.Contains("no answer within 600 s", error.Message, StringComparison.Ordinal);
        }

        Assert.Equal(advice == Leader, error.Message.Contains(Leader, StringComparison.Ordinal));

        Task RefuseAsync(HttpContext http) => ScriptedServer.RefuseAsync(http, Enum.Parse<StatusCode>(code!), detail!);
    }

    [Theory]
    [InlineData("app", null, "Range", "No role of the user 'app' allows it: grant one with 'etcdctl role grant-permission <role> read --prefix=true <prefix>'.")]
    [InlineData("app", "/client.pem", "Range", "No role of the user 'app' allows it")]
    [InlineData(null, "/client.pem", "Put", "No role of the user that the common name of Etcd:Tls:CertificateFile names allows it: grant one with 'etcdctl role grant-permission")]
    [InlineData(null, "/client.pem", "MemberAdd", "'etcdctl user grant-role <user> root'")]
    [InlineData(null, null, "Range", "set Etcd:Username and Etcd:Password")]
    public void A_missing_permission_is_that_of_the_user_who_asked(string? user, string? certificate, string operation, string advice)
    {
        var options = new EtcdClientOptions { Username = user, Tls = new EtcdTlsOptions { CertificateFile = certificate } };
        var failure = new CallFailedException(StatusCode.PermissionDenied, "etcdserver: permission denied", CallFailureKind.Status);

        var error = new EtcdErrors(options).Refused(operation, "http://a:2379", failure);

        Assert.Contains(advice, error.Message, StringComparison.Ordinal);
        Assert.Equal(user is null && certificate is null, error.Message.Contains("Etcd:Password", StringComparison.Ordinal));
    }
}
