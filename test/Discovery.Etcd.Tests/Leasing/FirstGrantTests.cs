using Discovery.Etcd.Protocol;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Tests.Leasing;

public sealed class FirstGrantTests
{
    [Fact]
    public async Task Why_there_is_no_lease_is_known_and_logged_long_before_the_request_times_out()
    {
        using var log = new LogRecorder();
        using var loggers = LoggerFactory.Create(l => l.AddProvider(log));
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.LeaseGrant, http => ScriptedServer.RefuseAsync(http, StatusCode.Unavailable, "etcdserver: no leader"));
        server.On(EtcdMethods.Range, () => new RangeResponse { Header = ScriptedWatch.Header(10) });
        server.On(EtcdMethods.Txn, () => new TxnResponse { Header = ScriptedWatch.Header(11), Succeeded = true });
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [server.Endpoint], RequestTimeout = TimeSpan.FromHours(1) }, loggers);
        await using var keeper = client.KeepLease(TimeSpan.FromSeconds(30));

        keeper.Put("a", default);

        await Eventually.IsTrue(() => keeper.Status.LastError is not null);
        Assert.Contains("no leader", keeper.Status.LastError!.Message, StringComparison.Ordinal);
        Assert.Contains("LeaseGrant has not succeeded yet at", keeper.Status.LastError.Message, StringComparison.Ordinal);
        Assert.Contains("no leader", Assert.Single(log.At(LogLevel.Warning), static l => l.Contains("not available for keeping", StringComparison.Ordinal)), StringComparison.Ordinal);

        // It is still the first request that is answered in the end.
        server.On(EtcdMethods.LeaseGrant, () => new LeaseGrantResponse { ID = 7, TTL = 30 });
        await Eventually.IsTrue(() => keeper.Status is { State: EtcdLeaseState.Held, LastError: null });
        await Eventually.IsTrue(() => log.Has(LogLevel.Information, "available again"));
    }

    [Fact]
    public async Task An_etcd_that_only_takes_its_time_is_no_outage()
    {
        using var log = new LogRecorder();
        using var loggers = LoggerFactory.Create(l => l.AddProvider(log));
        await using var server = await ScriptedServer.StartAsync();
        var answer = new TaskCompletionSource();
        server.On(EtcdMethods.LeaseGrant, async http =>
        {
            await answer.Task;
            await ScriptedServer.AnswerAsync(http, new LeaseGrantResponse { ID = 7, TTL = 30 });
        });
        server.On(EtcdMethods.Range, () => new RangeResponse { Header = ScriptedWatch.Header(10) });
        server.On(EtcdMethods.Txn, () => new TxnResponse { Header = ScriptedWatch.Header(11), Succeeded = true });
        var clock = new FakeTimeProvider();
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [server.Endpoint], AttemptTimeout = TimeSpan.FromSeconds(30), RequestTimeout = TimeSpan.FromMinutes(1) }, loggers, clock);
        await using var keeper = client.KeepLease(TimeSpan.FromMinutes(10));
        keeper.Put("a", default);
        await Eventually.IsTrue(() => server.Calls.Contains("LeaseGrant"));

        for (var i = 0; i < 20; i++)
        {
            clock.Advance(TimeSpan.FromMilliseconds(400));
        }

        answer.SetResult();
        await Eventually.IsTrue(() => keeper.Status.State == EtcdLeaseState.Held);
        Assert.Empty(log.At(LogLevel.Warning));
    }
}
