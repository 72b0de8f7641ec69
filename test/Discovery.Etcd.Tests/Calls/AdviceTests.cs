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
        Assert.Equal(advice == Leader, error.Message.Contains(Leader, StringComparison.Ordinal));

        Task RefuseAsync(HttpContext http) => ScriptedServer.RefuseAsync(http, Enum.Parse<StatusCode>(code!), detail!);
    }
}
