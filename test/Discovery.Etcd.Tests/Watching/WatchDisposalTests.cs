using System.Net;
using Discovery.Etcd.Calls;
using Discovery.Etcd.Connections;
using Discovery.Etcd.KeyValues;
using Discovery.Etcd.Watching;
using Grpc.Net.Client;

namespace Discovery.Etcd.Tests.Watching;

/// <summary>What is used in the moment when it is disposed.</summary>
public sealed class WatchDisposalTests
{
    [Fact]
    public async Task A_watch_that_comes_too_late_is_refused_instead_of_never_ending()
    {
        var table = new WatchTable();
        var before = table.Add("a", KeyRange.Prefix("a"), 1, 0);

        table.Close();

        Assert.Equal(0, await before.Updates.ReadAllAsync(CancellationToken.None).CountAsync());
        Assert.Throws<ObjectDisposedException>(() => table.Add("b", KeyRange.Prefix("b"), 1, 0));
    }

    [Fact]
    public async Task A_watch_that_was_disposed_while_its_reader_listed_again_says_so()
    {
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = ["http://127.0.0.1:1"] });
        var watch = client.Watch("a", 1);

        await watch.DisposeAsync();

        Assert.Throws<ObjectDisposedException>(() => watch.Restart(1, 1));
    }

    [Fact]
    public void A_stream_that_is_ended_after_it_broke_by_itself_throws_at_nobody()
    {
        using var endpoint = new EtcdEndpoint(new Uri("http://127.0.0.1:1"), () => GrpcChannel.ForAddress("http://127.0.0.1:1", new GrpcChannelOptions { HttpHandler = new Silence() }), new FakeTimeProvider());
        var stream = new WatchStream(new WatchTable(), null!, endpoint, token: null, new LatestRevision(), TimeSpan.FromSeconds(1), new FakeTimeProvider());

        stream.Dispose();

        // So do the watchdog's timer and the renewal of a token, at any moment.
        stream.End(CallFailedException.Planned("the token was renewed"));
    }

    private sealed class Silence : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            await Task.Delay(Timeout.Infinite, cancellationToken);
            return new HttpResponseMessage(HttpStatusCode.OK);
        }
    }
}
