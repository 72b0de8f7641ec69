using Discovery.Etcd.Protocol;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Tests.Leasing;

public sealed class RefusedKeyTests
{
    [Fact]
    public async Task Keys_that_etcd_refuses_are_asked_for_rarely_and_said_rarely_and_the_error_stays()
    {
        var clock = new FakeTimeProvider();
        using var log = new LogRecorder();
        using var loggers = LoggerFactory.Create(b => b.AddProvider(log).SetMinimumLevel(LogLevel.Debug));
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.LeaseGrant, () => new LeaseGrantResponse { ID = 7, TTL = 3600 });
        server.On(EtcdMethods.Range, () => new RangeResponse { Header = ScriptedWatch.Header(10) });
        server.On(EtcdMethods.Txn, http => ScriptedServer.RefuseAsync(http, StatusCode.PermissionDenied, "etcdserver: permission denied"));
        server.On(EtcdMethods.Put, http => ScriptedServer.RefuseAsync(http, StatusCode.PermissionDenied, "etcdserver: permission denied"));
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [server.Endpoint], AttemptTimeout = TimeSpan.FromHours(1), RequestTimeout = TimeSpan.FromHours(1) },
            loggers, clock);
        await using var keeper = client.KeepLease(TimeSpan.FromHours(1));
        foreach (var key in (string[])["a", "b", "c", "d"])
        {
            keeper.Put(key, default);
        }

        int Puts() => server.Calls.Count(c => c == "Put");
        await Eventually.IsTrue(() => keeper.Status.LastError is not null && Puts() == 4);

        for (var step = 0; step < 150; step++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            Assert.Equal(StatusCode.PermissionDenied, Assert.IsType<EtcdException>(keeper.Status.LastError).StatusCode);
            await Task.Delay(5);
        }

        // Four keys: at once, about eight times in the first minute, and then about every 30 s.
        Assert.InRange(Puts(), 16, 4 * 15);
        var warnings = log.At(LogLevel.Warning);
        Console.WriteLine($"four refused keys for 2.5 minutes: {warnings.Count} log lines, {Puts()} requests to put them");
        Assert.InRange(warnings.Count, 2, 4);
        Assert.Contains("a, b, c, d", warnings[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_new_value_of_a_refused_key_is_tried_at_once()
    {
        var clock = new FakeTimeProvider();
        var refuses = true;
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.LeaseGrant, () => new LeaseGrantResponse { ID = 7, TTL = 3600 });
        server.On(EtcdMethods.Range, () => new RangeResponse { Header = ScriptedWatch.Header(10) });
        server.On(EtcdMethods.Txn, http => Volatile.Read(ref refuses)
            ? ScriptedServer.RefuseAsync(http, StatusCode.InvalidArgument, "etcdserver: request is too large")
            : ScriptedServer.AnswerAsync(http, new TxnResponse { Header = ScriptedWatch.Header(11), Succeeded = true }));
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [server.Endpoint] }, timeProvider: clock);
        await using var keeper = client.KeepLease(TimeSpan.FromHours(1));
        keeper.Put("a", new byte[100]);
        await Eventually.IsTrue(() => keeper.Status.LastError is not null);

        Volatile.Write(ref refuses, false);
        keeper.Update("a", new byte[10]);

        await keeper.FlushAsync().WaitAsync(TimeSpan.FromSeconds(30));
        await Eventually.IsTrue(() => keeper.Status is { KeysStored: 1, LastError: null });
    }

    [Fact]
    public async Task A_key_whose_last_value_is_refused_is_deleted_without_it()
    {
        var transactions = new List<TxnRequest>();
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.LeaseGrant, () => new LeaseGrantResponse { ID = 7, TTL = 3600 });
        server.On(EtcdMethods.Range, () => new RangeResponse { Header = ScriptedWatch.Header(10) });
        server.On(EtcdMethods.Txn, async http =>
        {
            var request = (await new GrpcFrameReader(http.Request.Body).ReadAsync(TxnRequest.Parser, http.RequestAborted))!;
            lock (transactions)
            {
                transactions.Add(request);
            }

            // A database that is full takes deletions.
            await (request.Success[0].RequestPut is { } put && put.Value.Span[0] == 2
                ? ScriptedServer.RefuseAsync(http, StatusCode.ResourceExhausted, "etcdserver: mvcc: database space exceeded")
                : ScriptedServer.AnswerAsync(http, new TxnResponse { Header = ScriptedWatch.Header(10 + transactions.Count), Succeeded = true }));
        });
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [server.Endpoint] });
        await using var keeper = client.KeepLease(TimeSpan.FromHours(1));
        keeper.Put("a", new byte[] { 1 });
        await keeper.FlushAsync().WaitAsync(TimeSpan.FromSeconds(20));

        keeper.Remove("a", new byte[] { 2 });
        await keeper.FlushAsync().WaitAsync(TimeSpan.FromSeconds(20));

        Assert.Equal(3, transactions.Count);
        Assert.NotNull(transactions[2].Success[0].RequestDeleteRange);
    }
}
