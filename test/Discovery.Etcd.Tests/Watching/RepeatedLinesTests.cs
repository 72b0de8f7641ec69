using Discovery.Etcd.Protocol;
using Discovery.Etcd.Watching;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Tests.Watching;

/// <summary>What strikes all watches at once is not a line for each.</summary>
public sealed class RepeatedLinesTests
{
    private readonly LogRecorder _log = new();

    [Fact]
    public async Task Of_one_cause_the_first_is_logged_and_the_others_are_counted()
    {
        var (time, loop) = (new ObservedTimeProvider(), new EventLoop(static e => throw e));
        var lines = new RepeatedLines(loop, time, _log, CancellationToken.None);
        for (var window = 0; window < 2; window++)
        {
            Assert.True(lines.Allows("compacted"));
            Assert.True(lines.Allows("rejected", lines: 2));
            Assert.True(lines.Allows("rejected", lines: 2));
            Assert.True(lines.Allows("alone"));
            for (var i = 0; i < 1_000; i++)
            {
                Assert.False(lines.Allows("compacted"));
            }

            Assert.False(lines.Allows("rejected", lines: 2));
            await Eventually.IsTrue(() => time.ArmedTimers == 3);

            time.Advance(RepeatedLines.Window);

            await Eventually.IsTrue(() => _log.Lines.Count == (window + 1) * 2);
            await WaitForLoopAsync(loop);
        }

        Assert.Equal(2, _log.Lines.Count(static l => l.Contains("1000 more watches: compacted", StringComparison.Ordinal)));
        Assert.Equal(2, _log.Lines.Count(static l => l.Contains("1 more watches: rejected", StringComparison.Ordinal)));
        loop.Complete();
    }

    [Fact]
    public async Task A_compaction_that_all_watches_missed_is_one_line()
    {
        const int Watches = 50;
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.Watch, static async http =>
        {
            var watch = new ScriptedWatch(http);
            while (await watch.ReadAsync() is { } request)
            {
                if (request.CreateRequest is { } create)
                {
                    await watch.SendAsync(new WatchResponse { Header = ScriptedWatch.Header(100), Created = true, WatchId = create.WatchId });
                    await watch.SendAsync(new WatchResponse
                    {
                        Header = ScriptedWatch.Header(100), Canceled = true, WatchId = create.WatchId, CompactRevision = 90,
                    });
                }
            }
        });
        using var logs = LoggerFactory.Create(b => b.AddProvider(_log));
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [server.Endpoint] }, logs);

        var told = Enumerable.Range(0, Watches).Select(i => ToListAsync(client, $"service-{i}/")).ToList();

        await Task.WhenAll(told).WaitAsync(TimeSpan.FromSeconds(30));
        var line = Assert.Single(_log.Lines, static l => l.Contains("has to list again", StringComparison.Ordinal));
        Assert.Contains("were compacted, up to 90", line, StringComparison.Ordinal);
    }

    private static async Task ToListAsync(EtcdClient client, string prefix)
    {
        await using var watch = client.Watch(prefix, 11);
        await foreach (var update in watch.ReadAllAsync())
        {
            if (update.Kind == EtcdWatchUpdateKind.ListAgain)
            {
                return;
            }
        }
    }

    // What the loop had to do when the line was seen is done.
    private static Task WaitForLoopAsync(EventLoop loop)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        loop.Post(done.SetResult);
        return done.Task;
    }
}
