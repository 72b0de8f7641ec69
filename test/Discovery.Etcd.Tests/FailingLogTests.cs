using Discovery.EmbeddedEtcd;
using Discovery.Etcd.Protocol;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Tests;

/// <summary>Lines that cannot be written are lost, and nothing else is.</summary>
public sealed class FailingLogTests : IDisposable
{
    private readonly FullDiskLog _log = new();
    private readonly ILoggerFactory _loggers;

    public FailingLogTests() => _loggers = LoggerFactory.Create(b => b.SetMinimumLevel(LogLevel.Trace).AddProvider(_log));

    public void Dispose()
    {
        _loggers.Dispose();
        _log.Dispose();
    }

    [Fact]
    public async Task A_lease_is_asked_for_until_there_is_one()
    {
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.LeaseGrant, http => ScriptedServer.RefuseAsync(http, StatusCode.Unavailable, "etcdserver: no leader"));
        server.On(EtcdMethods.Range, () => new RangeResponse { Header = ScriptedWatch.Header(10) });
        server.On(EtcdMethods.Txn, () => new TxnResponse { Header = ScriptedWatch.Header(11), Succeeded = true });
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [server.Endpoint] }, _loggers);
        await using var keeper = client.KeepLease(TimeSpan.FromMinutes(10));

        keeper.Put("a", default);
        await Eventually.IsTrue(() => _log.Lost > 1 && keeper.Status.LastError is not null);
        server.On(EtcdMethods.LeaseGrant, () => new LeaseGrantResponse { ID = 7, TTL = 600 });

        await Eventually.IsTrue(() => keeper.Status is { State: EtcdLeaseState.Held, KeysStored: 1, LastError: null });
    }

    [Fact]
    public async Task A_watch_is_opened_again_and_loses_nothing()
    {
        await using var etcd = await EmbeddedEtcdServer.StartAsync();
        await using var writer = new EtcdClient(new EtcdClientOptions { Endpoints = [etcd.Endpoint] });
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [etcd.Endpoint] }, _loggers);
        using var stop = new CancellationTokenSource();
        var keys = 0;
        var following = Task.Run(async () =>
        {
            await foreach (var snapshot in client.FollowAsync("a/", cancellationToken: stop.Token))
            {
                Volatile.Write(ref keys, snapshot.Items.Count);
            }
        });
        await writer.PutAsync("a/1", default);
        await Eventually.IsTrue(() => Volatile.Read(ref keys) == 1);

        etcd.Fail(3, StatusCode.Unavailable, method: "Watch");
        etcd.DropConnections();
        await Eventually.IsTrue(() => _log.Lost > 0);
        await writer.PutAsync("a/2", default);

        await Eventually.IsTrue(() => Volatile.Read(ref keys) == 2);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => following);
    }
}
