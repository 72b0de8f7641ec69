using System.Collections.Concurrent;
using Discovery.Etcd.DotnetEtcd.Tests.Support;
using Etcdserverpb;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Mvccpb;
using dotnet_etcd;
using dotnet_etcd.interfaces;

namespace Discovery.Etcd.DotnetEtcd.Tests;

/// <summary>dotnet-etcd's watch methods, over our watches.</summary>
public sealed class WatchTests(EmbeddedBackend backend) : IClassFixture<EmbeddedBackend>, IAsyncLifetime
{
    private readonly string _prefix = Backend.NewPrefix();
    private readonly ConcurrentQueue<string> _seen = new();
    private readonly LogRecorder _log = new();
    private EtcdClient _etcd = null!;
    private IEtcdClient _client = null!;

    private IWatchManager Watches => ((dotnet_etcd.EtcdClient)_client).GetWatchManager();

    public Task InitializeAsync()
    {
        (_etcd, _client) = backend.Connect(backend.Endpoint, new LoggerFactory([_log]));
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _etcd.DisposeAsync();
    }

    [Fact]
    public async Task A_watch_of_one_key_sees_no_other()
    {
        await Watches.WatchAsync(_prefix + "a", See);

        await PutAsync("a", "1");
        await PutAsync("ab", "1");
        await PutAsync("a", "2");

        await SeesAsync("Put a=1", "Put a=2");
    }

    [Fact]
    public async Task A_watch_of_a_prefix_sees_puts_and_deletions()
    {
        await Watches.WatchRangeAsync(_prefix, See);

        await PutAsync("a", "1");
        await _client.DeleteAsync(_prefix + "a");

        await SeesAsync("Put a=1", "Delete a=");
    }

    [Fact]
    public async Task A_watch_starts_at_a_revision_of_the_past()
    {
        await PutAsync("a", "1");
        var revision = (await PutAsync("a", "2")).Header.Revision;
        await PutAsync("a", "3");

        await Watches.WatchRangeAsync(_prefix, revision, See);

        await SeesAsync("Put a=2", "Put a=3");
    }

    [Fact]
    public async Task Synchronous_watches_block_until_they_are_open()
    {
        Watches.Watch(_prefix + "a", See);
        Watches.WatchRange(_prefix + "b", See);
        await PutAsync("a", "1");
        await SeesAsync("Put a=1");
        await PutAsync("b", "1");

        await SeesAsync("Put a=1", "Put b=1");
    }

    [Fact]
    public async Task Filters_leave_out_what_is_of_no_interest()
    {
        await WatchAsync(r => r.Filters.Add(WatchCreateRequest.Types.FilterType.Noput));

        await PutAsync("a", "1");
        await _client.DeleteAsync(_prefix + "a");

        await SeesAsync("Delete a=");
    }

    [Fact]
    public async Task Previous_records_come_where_they_are_wanted()
    {
        var previous = new ConcurrentQueue<string>();
        await PutAsync("a", "1");
        await WatchAsync(r => r.PrevKv = true, r => Keep(r, previous));
        await WatchAsync(_ => { }, r => Keep(r, _seen));

        await PutAsync("a", "2");
        await _client.DeleteAsync(_prefix + "a");

        await Eventually.IsTrue(() => previous.SequenceEqual(["1", "2"]));
        await SeesAsync("none", "none");

        static void Keep(WatchResponse response, ConcurrentQueue<string> to)
        {
            foreach (var change in response.Events)
            {
                to.Enqueue(change.PrevKv?.Value.ToStringUtf8() ?? "none");
            }
        }
    }

    [Fact]
    public async Task A_response_holds_the_record_as_etcd_gives_it()
    {
        var responses = new ConcurrentQueue<WatchResponse>();
        var id = await WatchAsync(_ => { }, responses.Enqueue);
        var lease = (await _client.LeaseGrantAsync(new LeaseGrantRequest { TTL = 60 })).ID;

        var put = await _client.PutAsync(new PutRequest { Key = ByteString.CopyFromUtf8(_prefix + "a"), Value = ByteString.CopyFrom(0xff, 0x00), Lease = lease });

        await Eventually.IsTrue(() => responses.Any(r => r.Events.Count > 0));
        Assert.True(responses.First().Created);
        Assert.All(responses, r => Assert.Equal(id, r.WatchId));
        var response = responses.Last();
        var record = (await _client.GetAsync(_prefix + "a")).Kvs.Single();
        Assert.Equal(put.Header.Revision, response.Header.Revision);
        Assert.Equal(put.Header.ClusterId, response.Header.ClusterId);
        Assert.Equal(new Event { Type = Event.Types.EventType.Put, Kv = record }, response.Events.Single());
    }

    [Fact]
    public async Task A_cancelled_watch_calls_nobody_any_more()
    {
        var id = await Watches.WatchRangeAsync(_prefix, See);
        await Watches.WatchRangeAsync(_prefix, e => _seen.Enqueue("other " + e.Value));

        _client.CancelWatch(id);
        _client.CancelWatch(id);
        await PutAsync("a", "1");

        await SeesAsync("other 1");
    }

    [Fact]
    public async Task A_watch_ends_with_its_token_and_with_its_deadline()
    {
        using var cancellation = new CancellationTokenSource();
        await Watches.WatchRangeAsync(_prefix, e => _seen.Enqueue("token"), cancellationToken: cancellation.Token);
        await Watches.WatchRangeAsync(_prefix, e => _seen.Enqueue("deadline"), deadline: DateTime.UtcNow.AddMilliseconds(500));
        await PutAsync("a", "1");
        await Eventually.IsTrue(() => _seen.Contains("token"));

        await cancellation.CancelAsync();
        await Eventually.IsTrue(async () =>
        {
            _seen.Clear();
            var revision = (await PutAsync("a", "2")).Header.Revision;
            await Watches.WatchRangeAsync(_prefix, revision, e => _seen.Enqueue("probe"));
            await Eventually.IsTrue(() => _seen.Contains("probe"));
            return _seen.All(s => s == "probe");
        });
    }

    [Fact]
    public async Task A_callback_that_throws_ends_nothing()
    {
        await Watches.WatchRangeAsync(_prefix, e =>
        {
            See(e);
            throw new InvalidOperationException("a callback's mistake");
        });

        await PutAsync("a", "1");
        await PutAsync("a", "2");

        await SeesAsync("Put a=1", "Put a=2");
        await Eventually.IsTrue(() => _log.Has(LogLevel.Error, "callback"));
    }

    [Fact]
    public async Task A_callback_that_stands_still_misses_nothing_that_still_exists()
    {
        using var goOn = new ManualResetEventSlim();
        var responses = new ConcurrentQueue<WatchResponse>();
        await WatchAsync(_ => { }, response =>
        {
            responses.Enqueue(response);
            goOn.Wait();
        });

        // More than is kept unread.
        var value = new string('x', 1024 * 1024);
        for (var i = 0; i < 70; i++)
        {
            await PutAsync($"a{i}", value);
        }

        await Eventually.IsTrue(() => _log.Has(LogLevel.Warning, "left unread"));
        await _client.DeleteAsync(_prefix + "a0");
        goOn.Set();
        await Eventually.IsTrue(() => responses.Any(r => r.Canceled));
        await PutAsync("last", "1");

        await Eventually.IsTrue(() => KeysOf(responses).Contains("last"));
        Assert.Equal(71, KeysOf(responses).Distinct().Count());
        Assert.Contains("unread", responses.First(r => r.Canceled).CancelReason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_disposed_client_watches_no_more()
    {
        await Watches.WatchRangeAsync(_prefix, See);

        _client.Dispose();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => Watches.WatchRangeAsync(_prefix, See));
        await PutAsync("a", "1");
        Assert.Empty(_seen);
    }

    [Fact]
    public async Task A_request_that_creates_nothing_is_an_error()
    {
        var error = await Assert.ThrowsAsync<ArgumentException>(
            () => Watches.WatchAsync(new WatchRequest { ProgressRequest = new WatchProgressRequest() }, _ => { }));

        Assert.Contains("CreateRequest", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Headers_that_cannot_be_sent_are_refused()
    {
        await Watches.WatchRangeAsync(_prefix, See, new Metadata { { "hasleader", "true" } });

        await Assert.ThrowsAsync<NotSupportedException>(() => Watches.WatchRangeAsync(_prefix, See, new Metadata { { "x-tenant", "a" } }));
    }

    [Fact]
    public async Task A_watch_that_cannot_be_opened_says_why()
    {
        var (etcd, client) = backend.Connect("http://127.0.0.1:1");
        await using (etcd)
        {
            var error = await Assert.ThrowsAsync<RpcException>(
                () => client.WatchRangeAsync(_prefix, (WatchResponse _) => { }, deadline: DateTime.UtcNow.AddSeconds(1)));

            Assert.Equal(StatusCode.DeadlineExceeded, error.StatusCode);
            Assert.Contains("127.0.0.1:1", error.Status.Detail, StringComparison.Ordinal);
        }
    }

    private Task<long> WatchAsync(Action<WatchCreateRequest> configure, Action<WatchResponse>? callback = null)
    {
        var request = new WatchCreateRequest
        {
            Key = ByteString.CopyFromUtf8(_prefix),
            RangeEnd = dotnet_etcd.EtcdClient.GetRangeEnd(ByteString.CopyFromUtf8(_prefix)),
        };
        configure(request);
        return _client.WatchAsync(new WatchRequest { CreateRequest = request }, callback ?? (response =>
        {
            foreach (var change in response.Events)
            {
                See(new WatchEvent { Key = change.Kv.Key.ToStringUtf8(), Value = change.Kv.Value.ToStringUtf8(), Type = change.Type });
            }
        }));
    }

    private IEnumerable<string> KeysOf(IEnumerable<WatchResponse> responses) =>
        responses.SelectMany(static r => r.Events).Select(e => e.Kv.Key.ToStringUtf8()[_prefix.Length..]);

    private void See(WatchEvent change) => _seen.Enqueue($"{change.Type} {change.Key[_prefix.Length..]}={change.Value}");

    private Task<PutResponse> PutAsync(string key, string value) => backend.PutAsync(_prefix + key, value);

    private async Task SeesAsync(params string[] expected)
    {
        await Eventually.IsTrue(() => _seen.Count >= expected.Length);
        Assert.Equal(expected, _seen);
    }
}
