namespace Discovery.Etcd.Tests.Watching;

/// <summary>What is used in the moment when it is disposed.</summary>
public sealed class WatchDisposalTests
{
    [Fact]
    public async Task A_watch_that_comes_too_late_is_refused_instead_of_never_ending()
    {
        var client = new EtcdClient(new EtcdClientOptions { Endpoints = ["http://127.0.0.1:1"] });
        var before = client.Watch("a", 1);

        await client.DisposeAsync();

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await before.ReadAllAsync(limit.Token).CountAsync(limit.Token);
        Assert.Throws<ObjectDisposedException>(() => client.Watch("b", 1));
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
    public async Task A_watch_that_did_not_ask_for_a_list_is_not_restarted()
    {
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = ["http://127.0.0.1:1"] });
        await using var watch = client.Watch("a", 1);

        Assert.Throws<InvalidOperationException>(() => watch.Restart(1, 1));
    }
}
