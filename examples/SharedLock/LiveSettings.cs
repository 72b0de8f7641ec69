using System.Collections.Concurrent;
using System.Globalization;
using Etcdserverpb;
using Google.Protobuf;
using Mvccpb;
using dotnet_etcd;
using dotnet_etcd.interfaces;

namespace SharedLock;

/// <summary>The settings under a prefix in etcd, as they are now.</summary>
internal sealed class LiveSettings(IEtcdClient etcd, ILogger<LiveSettings> logger) : IHostedService
{
    public const string Prefix = "example/settings/";

    private readonly ConcurrentDictionary<string, string> _values = new(StringComparer.Ordinal);
    private long _watch;

    public IReadOnlyDictionary<string, string> All => _values;

    /// <summary>How long a worker pauses, from the setting <c>pause</c>, in milliseconds.</summary>
    public TimeSpan Pause =>
        _values.TryGetValue("pause", out var text) && int.TryParse(text, CultureInfo.InvariantCulture, out var milliseconds) && milliseconds > 0
            ? TimeSpan.FromMilliseconds(milliseconds)
            : TimeSpan.FromSeconds(1);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var present = await etcd.GetRangeAsync(Prefix, cancellationToken: cancellationToken);
        foreach (var setting in present.Kvs)
        {
            _values[NameOf(setting)] = setting.Value.ToStringUtf8();
        }

        // From the next revision on: what changes between the two calls is not missed. The token would end the watch, not only the start.
        _watch = await etcd.WatchAsync(
            new WatchRequest
            {
                CreateRequest = new WatchCreateRequest
                {
                    Key = ByteString.CopyFromUtf8(Prefix),
                    RangeEnd = EtcdClient.GetRangeEnd(ByteString.CopyFromUtf8(Prefix)),
                    StartRevision = present.Header.Revision + 1,
                },
            },
            OnResponse,
            cancellationToken: CancellationToken.None);
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        etcd.CancelWatch(_watch);
        return Task.CompletedTask;
    }

    private void OnResponse(WatchResponse response)
    {
        if (response.Canceled)
        {
            // Puts that were missed follow by themselves, deletions do not; the watch goes on.
            logger.LogWarning("Deleted settings may have been missed: {Reason}", response.CancelReason);
        }

        foreach (var change in response.Events)
        {
            if (change.Type == Event.Types.EventType.Put)
            {
                _values[NameOf(change.Kv)] = change.Kv.Value.ToStringUtf8();
            }
            else
            {
                _values.TryRemove(NameOf(change.Kv), out _);
            }

            logger.LogInformation("Setting {Name} changed.", NameOf(change.Kv));
        }
    }

    private static string NameOf(KeyValue setting) => setting.Key.ToStringUtf8()[Prefix.Length..];
}
