using Discovery.Etcd;
using Grpc.Core;
using Xunit.Abstractions;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>One etcd behind a network that misbehaves.</summary>
public sealed class BadNetworkTests(OneNode node, ITestOutputHelper output) : IClassFixture<OneNode>
{
    [Fact]
    public async Task Connections_that_are_cut_cost_no_event()
    {
        await using var proxy = TcpProxy.Start(node.Etcd.ClientPort);
        await using var client = Connect(proxy.Endpoint);
        var prefix = NewPrefix();
        await using var watch = client.Watch(prefix, 1);
        var log = WatchLog.Follow(watch);
        await using var writer = Writer.Start(client, prefix);

        for (var cut = 0; cut < 10; cut++)
        {
            var before = writer.Written;
            await Eventually.IsTrue(() => writer.Written > before + 20);
            proxy.CutAll();
        }

        await writer.StopAsync();
        Assert.Equal(0, writer.Failures);
        await log.AssertIsWholeHistoryAsync(client, prefix);
    }

    [Fact]
    public async Task Frames_that_are_cut_in_the_middle_cost_no_event()
    {
        await using var direct = node.Connect();
        await using var proxy = TcpProxy.Start(node.Etcd.ClientPort);

        // A stream that a slow machine opens late is no cut.
        await using var client = Connect(proxy.Endpoint, o => o.AttemptTimeout = TimeSpan.FromSeconds(20));
        var prefix = NewPrefix();
        await using var watch = client.Watch(prefix, 1);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));

        for (var cut = 1; cut <= 10; cut++)
        {
            // One event of 50 kB, of which the watch receives only a part before its connection breaks.
            proxy.CutAfter(cut * 4_000);
            await direct.PutAsync(prefix + "a", new byte[50_000]);
            await Eventually.IsTrue(() => log.Events.Count == cut);
        }

        Assert.Equal(10, log.Kinds.Count(k => k == EtcdWatchUpdateKind.Interrupted));
        await log.AssertIsWholeHistoryAsync(direct, prefix);
    }

    [Fact]
    public async Task A_slow_network_is_not_taken_for_a_broken_one()
    {
        await using var proxy = TcpProxy.Start(node.Etcd.ClientPort);
        proxy.Delay = TimeSpan.FromMilliseconds(50);

        // Several times what the delays add up to, for the machine may be slow as well.
        await using var client = Connect(proxy.Endpoint, o => o.AttemptTimeout = TimeSpan.FromSeconds(3));
        var prefix = NewPrefix();
        await using var watch = client.Watch(prefix, 0);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));

        for (var i = 0; i < 5; i++)
        {
            await client.PutAsync(prefix + "a", Bytes($"{i}"));
        }

        await Eventually.IsTrue(() => log.Events.Count == 5);
        Assert.DoesNotContain(EtcdWatchUpdateKind.Interrupted, log.Kinds);
        Assert.Equal(2, proxy.Accepted);
    }

    [Fact]
    public async Task What_a_slow_network_does_not_carry_within_the_limit_is_listed_in_smaller_pieces()
    {
        await using var direct = node.Connect();
        await using var proxy = TcpProxy.Start(node.Etcd.ClientPort);
        var prefix = NewPrefix();
        for (var i = 0; i < 30; i++)
        {
            await direct.PutAsync($"{prefix}{i:00}", new byte[200_000]);
        }

        // At most 1.6 MB a second, for 6 MB.
        proxy.Delay = TimeSpan.FromMilliseconds(10);
        await using var client = Connect(proxy.Endpoint, o => o.RequestTimeout = TimeSpan.FromSeconds(3));

        var listing = await client.ListAsync(prefix);

        Assert.Equal(Enumerable.Range(0, 30).Select(i => $"{prefix}{i:00}"), listing.Items.Select(static i => i.Key));
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task A_black_hole_is_noticed_within_fifteen_seconds(bool requests, bool responses)
    {
        await using var direct = node.Connect();
        await using var bad = TcpProxy.Start(node.Etcd.ClientPort);
        await using var good = TcpProxy.Start(node.Etcd.ClientPort);
        good.Refuses = true;
        await using var client = Connect($"{bad.Endpoint},{good.Endpoint}");
        var prefix = NewPrefix();
        await using var watch = client.Watch(prefix, 0);
        var log = WatchLog.Follow(watch);
        await Eventually.IsTrue(() => log.Kinds.Contains(EtcdWatchUpdateKind.Opened));
        await client.PutAsync(prefix + "a", Bytes("before"));
        await Eventually.IsTrue(() => log.Events.Count == 1);

        good.Refuses = false;
        (bad.BlackholesRequests, bad.BlackholesResponses) = (requests, responses);
        var since = TimeProvider.System.GetTimestamp();
        await client.PutAsync(prefix + "a", Bytes("during"));
        output.WriteLine($"a call took {TimeProvider.System.GetElapsedTime(since).TotalMilliseconds:0} ms");
        Assert.InRange(TimeProvider.System.GetElapsedTime(since), TimeSpan.Zero, TimeSpan.FromSeconds(4));
        await direct.PutAsync(prefix + "a", Bytes("later"));

        await Eventually.IsTrue(() => log.Events is [.., var last] && Text(last.Record.Value) == "later");
        var noticed = TimeProvider.System.GetElapsedTime(since);
        output.WriteLine($"the watch went on after {noticed.TotalSeconds:0.0} s");

        // Where only requests are lost, events still come, and nothing has to be noticed.
        Assert.InRange(noticed, TimeSpan.Zero, TimeSpan.FromSeconds(17));
        await log.AssertIsWholeHistoryAsync(direct, prefix);
    }

    [Fact]
    public async Task A_half_open_connection_to_the_only_endpoint_is_replaced_within_one_call()
    {
        await using var proxy = TcpProxy.Start(node.Etcd.ClientPort);
        await using var client = Connect(proxy.Endpoint);
        var key = NewPrefix() + "a";
        await client.PutAsync(key, Bytes("1"));

        // Old connections stay silent for ever; a new one works.
        proxy.BlackholeOpenConnections();
        await client.PutAsync(key, Bytes("2"));

        Assert.Equal("2", Text((await client.GetAsync(key))!.Value));
        Assert.True(proxy.Accepted >= 2);
    }

    [Fact]
    public async Task An_unreachable_etcd_is_described_for_a_newcomer()
    {
        await using var proxy = TcpProxy.Start(node.Etcd.ClientPort);
        proxy.Refuses = true;
        await using var client = Connect($"{proxy.Endpoint},http://127.0.0.1:9", o => o.RequestTimeout = TimeSpan.FromSeconds(3));

        var error = await Assert.ThrowsAsync<EtcdException>(() => client.ListAsync("x"));

        output.WriteLine(error.Message);
        Assert.Equal(StatusCode.Unavailable, error.StatusCode);
        Assert.Equal("Range", error.Operation);
        Assert.Equal(2, error.Endpoints.Count);
        Assert.Contains("http://127.0.0.1:9 (connection refused", error.Message, StringComparison.Ordinal);
        Assert.Contains("Check that etcd runs there, that Etcd:Endpoints", error.Message, StringComparison.Ordinal);
    }
}
