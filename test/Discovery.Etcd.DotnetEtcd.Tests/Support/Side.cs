using System.Collections.Concurrent;
using Etcdserverpb;
using Microsoft.Extensions.Logging;
using Mvccpb;
using dotnet_etcd;
using dotnet_etcd.interfaces;

namespace Discovery.Etcd.DotnetEtcd.Tests.Support;

/// <summary>One client behind a relay of its own, and what its watches told.</summary>
internal sealed class Side : IAsyncDisposable
{
    // dotnet-etcd opens a stream again after half a second.
    private static readonly TimeSpan LongerThanReconnecting = TimeSpan.FromSeconds(3);

    private readonly ConcurrentQueue<WatchResponse> _responses = new();
    private readonly ConcurrentQueue<string> _events = new();
    private readonly EtcdClient? _etcd;

    private Side(EtcdRelay relay, IEtcdClient client, EtcdClient? etcd, LogRecorder log)
    {
        Relay = relay;
        Client = client;
        _etcd = etcd;
        Log = log;
    }

    /// <summary>What our client logged.</summary>
    public LogRecorder Log { get; }

    public EtcdRelay Relay { get; }

    public IEtcdClient Client { get; }

    public IWatchManager Watches => ((dotnet_etcd.EtcdClient)Client).GetWatchManager();

    public IReadOnlyCollection<WatchResponse> Responses => _responses;

    /// <summary>The events, e.g. <c>put a=1</c> or <c>delete a</c>, without the prefix.</summary>
    public IReadOnlyCollection<string> Events => _events;

    /// <summary>dotnet-etcd by itself.</summary>
    public static async Task<Side> AloneAsync(Backend backend, Func<string, IEtcdClient>? connect = null)
    {
        var relay = await EtcdRelay.StartAsync(backend.Endpoint, backend.Certificate);
        return new Side(relay, (connect ?? backend.ConnectAlone)(relay.Endpoint), etcd: null, new LogRecorder());
    }

    /// <summary>What AddDotnetEtcd gives.</summary>
    public static async Task<Side> OursAsync(Backend backend)
    {
        var relay = await EtcdRelay.StartAsync(backend.Endpoint, backend.Certificate);
        var log = new LogRecorder();
        var (etcd, client) = backend.Connect(relay.Endpoint, new LoggerFactory([log]));
        return new Side(relay, client, etcd, log);
    }

    /// <summary>Watches a prefix from now on.</summary>
    public Task<long> WatchAsync(string prefix, Grpc.Core.Metadata? headers = null) => Client.WatchRangeAsync(prefix, (WatchResponse response) =>
    {
        _responses.Enqueue(response);
        foreach (var change in response.Events)
        {
            var key = change.Kv.Key.ToStringUtf8()[prefix.Length..];
            _events.Enqueue(change.Type == Event.Types.EventType.Put ? $"put {key}={change.Kv.Value.ToStringUtf8()}" : $"delete {key}");
        }
    }, headers);

    /// <summary>Waits until an event was told.</summary>
    public async Task SeesAsync(string change)
    {
        try
        {
            await Eventually.IsTrue(() => _events.Contains(change), TimeSpan.FromSeconds(60));
        }
        catch (TimeoutException)
        {
            Assert.Fail($"No '{change}' among [{string.Join(", ", _events)}]. Log:\n{string.Join('\n', Log.Lines)}");
        }
    }

    /// <summary>Looks for longer than dotnet-etcd needs to open a stream again.</summary>
    public async Task NeverSeesAsync(string change)
    {
        var since = TimeProvider.System.GetTimestamp();
        await Eventually.IsTrue(() => _events.Contains(change) || TimeProvider.System.GetElapsedTime(since) > LongerThanReconnecting);
        Assert.DoesNotContain(change, _events);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        if (_etcd is not null)
        {
            await _etcd.DisposeAsync();
        }

        await Relay.DisposeAsync();
    }
}
