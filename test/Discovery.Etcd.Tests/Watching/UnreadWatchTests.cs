using System.Collections.Concurrent;
using Discovery.Etcd.Protocol;
using Discovery.Etcd.Watching;
using Google.Protobuf;
using Grpc.Core;

namespace Discovery.Etcd.Tests.Watching;

/// <summary>A watch whose reader stands still must not fill the memory.</summary>
public sealed class UnreadWatchTests
{
    private const int ValueSize = 1024 * 1024;
    private const int Sent = 200;

    [Fact]
    public async Task A_watch_that_nobody_reads_is_cancelled_at_the_server_and_its_reader_is_told_to_list_again()
    {
        var creates = new ConcurrentQueue<WatchCreateRequest>();
        var cancelled = new ConcurrentQueue<long>();
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.Watch, async http =>
        {
            var watch = new ScriptedWatch(http);
            var unread = await watch.ReadCreateAsync();
            creates.Enqueue(unread);
            await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(10), Created = true, WatchId = unread.WatchId });
            var read = await watch.ReadCreateAsync();
            await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(10), Created = true, WatchId = read.WatchId });
            for (var i = 0; i < Sent; i++)
            {
                await watch.SendAsync(Change(unread.WatchId, 11 + i));
            }

            await watch.SendAsync(Change(read.WatchId, 11 + Sent));
            while (await watch.ReadAsync() is { } request)
            {
                if (request.CancelRequest is { } cancel)
                {
                    cancelled.Enqueue(cancel.WatchId);
                }
                else if (request.CreateRequest is { } create)
                {
                    creates.Enqueue(create);
                    await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(500), Created = true, WatchId = create.WatchId });
                }
            }
        });
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [server.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(1) });
        await using var unread = client.Watch("unread/", 11);
        await using var read = client.Watch("read/", 11);

        // The other watch of the stream gets what was sent after all that nobody reads.
        await ReadUntilAsync(read, EtcdWatchUpdateKind.Changed);
        await Eventually.IsTrue(() => cancelled.Contains(creates.First().WatchId));

        var updates = await ReadUntilAsync(unread, EtcdWatchUpdateKind.ListAgain);
        var changes = updates.Where(u => u.Kind == EtcdWatchUpdateKind.Changed).ToList();
        Assert.Equal(Enumerable.Range(11, changes.Count).Select(r => (long)r), changes.Select(c => c.Revision));
        Assert.InRange(changes.Count, UnreadBudget.PerWatch / ValueSize / 2, (UnreadBudget.PerWatch / ValueSize) + 1);
        Assert.Equal(StatusCode.ResourceExhausted, updates[^1].Error!.StatusCode);
        Assert.Contains("left unread", updates[^1].Error!.Message, StringComparison.Ordinal);

        unread.Restart(501, 1);
        await ReadUntilAsync(unread, EtcdWatchUpdateKind.Opened);
        Assert.Equal(501, creates.Last().StartRevision);
    }

    [Fact]
    public async Task A_reader_that_reads_gets_any_amount()
    {
        await using var server = await ScriptedServer.StartAsync();
        var seen = 0;
        server.On(EtcdMethods.Watch, async http =>
        {
            var watch = new ScriptedWatch(http);
            var id = (await watch.ReadCreateAsync()).WatchId;
            await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(10), Created = true, WatchId = id });
            for (var i = 0; i < Sent; i++)
            {
                await watch.SendAsync(Change(id, 11 + i));

                // What is on its way and unread stays below the limit, however slow this machine is.
                await Eventually.IsTrue(() => i - Volatile.Read(ref seen) < 32);
            }

            await watch.ReadAsync();
        });
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [server.Endpoint], AttemptTimeout = TimeSpan.FromMinutes(1) });
        await using var watch = client.Watch("", 11);

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await foreach (var update in watch.ReadAllAsync(limit.Token))
        {
            Assert.NotEqual(EtcdWatchUpdateKind.ListAgain, update.Kind);
            if (update.Kind == EtcdWatchUpdateKind.Changed && Interlocked.Increment(ref seen) == Sent)
            {
                break;
            }
        }

        Assert.Equal(Sent, seen);
    }

    private static WatchResponse Change(long id, long revision)
    {
        var change = ScriptedWatch.Put("a", revision);
        change.Kv.Value = UnsafeByteOperations.UnsafeWrap(new byte[ValueSize]);
        return new WatchResponse { Header = ScriptedWatch.Header(revision), WatchId = id, Events = { change } };
    }

    private static async Task<List<EtcdWatchUpdate>> ReadUntilAsync(EtcdWatch watch, EtcdWatchUpdateKind kind)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var updates = new List<EtcdWatchUpdate>();
        await foreach (var update in watch.ReadAllAsync(limit.Token))
        {
            updates.Add(update);
            if (update.Kind == kind)
            {
                break;
            }
        }

        return updates;
    }
}
