using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;

namespace Discovery.Etcd.Tests.KeyValues;

public sealed class PagedListTests
{
    [Fact]
    public async Task A_list_over_two_clusters_behind_one_address_pauses_and_ends()
    {
        await using var server = await ScriptedServer.StartAsync();
        var requests = 0;
        server.On(EtcdMethods.Range, () => new RangeResponse
        {
            Header = new ResponseHeader { Revision = 7, ClusterId = (ulong)(1 + (Interlocked.Increment(ref requests) % 2)) },
            Kvs = { new KeyValue { Key = ByteString.CopyFromUtf8("a") } },
            More = true,
        });
        var clock = new ObservedTimeProvider();
        await using var client = new EtcdClient(
            new EtcdClientOptions { Endpoints = [server.Endpoint], AttemptTimeout = TimeSpan.FromHours(1), RequestTimeout = TimeSpan.FromHours(1) }, timeProvider: clock);
        var list = client.ListAsync("a");

        // It starts again after a pause, which only the clock ends.
        await Eventually.IsTrue(() => clock.ArmedTimers > 0 && requests >= 2);
        Assert.False(list.IsCompleted);
        await Eventually.IsTrue(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
            return list.IsCompleted;
        });

        var error = await Assert.ThrowsAsync<EtcdException>(() => list);
        Assert.Equal(StatusCode.FailedPrecondition, error.StatusCode);
        Assert.Contains("several clusters answer behind one of the addresses in Etcd:Endpoints", error.Message, StringComparison.Ordinal);
        Assert.Equal(10, requests);
    }
}
