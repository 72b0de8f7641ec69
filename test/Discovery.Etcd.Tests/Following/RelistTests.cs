using System.Text;
using Discovery.Etcd.Protocol;
using Google.Protobuf;
using Grpc.Core;

namespace Discovery.Etcd.Tests.Following;

/// <summary>The regular list beside an open watch, on a server whose watch brings nothing.</summary>
public sealed class RelistTests : IAsyncLifetime
{
    private ScriptedServer _server = null!;
    private EtcdClient _client = null!;
    private (string Value, long Revision) _stored = ("1", 10);
    private int _watches;

    public async Task InitializeAsync()
    {
        _server = await ScriptedServer.StartAsync();
        _server.On(EtcdMethods.Range, () =>
        {
            var (value, revision) = _stored;
            var record = new KeyValue
            {
                Key = ByteString.CopyFromUtf8("p/a"), Value = ByteString.CopyFrom(Encoding.UTF8.GetBytes(value)), ModRevision = revision, CreateRevision = 2, Version = 1,
            };
            return new RangeResponse { Header = ScriptedWatch.Header(revision), Kvs = { record }, Count = 1 };
        });
        _server.On(EtcdMethods.Watch, http => ScriptedWatch.ServeAsync(
            http,
            request =>
            {
                if (request.CreateRequest is not null)
                {
                    Interlocked.Increment(ref _watches);
                }
            },
            _stored.Revision));
        _client = new EtcdClient(new EtcdClientOptions { Endpoints = [_server.Endpoint] });
    }

    public async Task DisposeAsync()
    {
        await _client.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task What_the_watch_lost_is_found_after_the_interval_and_another_watch_follows()
    {
        await using var reader = new Reader(_client, "p/", TimeSpan.FromSeconds(1));
        await Eventually.IsTrue(() => reader.Latest == "p/a=1" && reader.Status == EtcdFollowStatusKind.Watching);
        var watchesBefore = Volatile.Read(ref _watches);

        _stored = ("2", 12);

        await Eventually.IsTrue(() => reader.Latest == "p/a=2" && Volatile.Read(ref _watches) > watchesBefore);
        Assert.Equal(2, reader.Snapshots.Count);
    }

    [Fact]
    public async Task A_list_that_brings_nothing_new_gives_no_snapshot_and_keeps_the_watch()
    {
        await using var reader = new Reader(_client, "p/", TimeSpan.FromSeconds(1));
        await Eventually.IsTrue(() => reader.Status == EtcdFollowStatusKind.Watching);
        var watchesBefore = Volatile.Read(ref _watches);
        var listsBefore = CountLists();

        await Eventually.IsTrue(() => CountLists() >= listsBefore + 2);

        Assert.Single(reader.Snapshots);
        Assert.Equal(watchesBefore, Volatile.Read(ref _watches));
    }

    [Fact]
    public async Task A_watch_that_is_refused_while_lists_are_answered_is_stood_in_for_by_lists()
    {
        _server.On(EtcdMethods.Watch, async http =>
        {
            var watch = new ScriptedWatch(http);
            while (await watch.ReadAsync() is { } request)
            {
                if (request.CreateRequest is { } create)
                {
                    await watch.SendAsync(new WatchResponse
                    {
                        Header = ScriptedWatch.Header(10), Created = true, Canceled = true, WatchId = create.WatchId, CancelReason = "etcdserver: permission denied",
                    });
                }
            }
        });
        await using var reader = new Reader(_client, "p/");
        await Eventually.IsTrue(() => reader.Status == EtcdFollowStatusKind.Polling);
        Assert.Equal(StatusCode.PermissionDenied, reader.Statuses[^1].Error!.StatusCode);

        _stored = ("2", 12);

        await Eventually.IsTrue(() => reader.Latest == "p/a=2");
    }

    private int CountLists() => _server.Calls.Count(c => c == EtcdMethods.Range);
}
