using System.Collections.Concurrent;
using System.Text;

namespace Discovery.Etcd.Tests.Following;

/// <summary>Reads all snapshots of a prefix in the background.</summary>
internal sealed class Reader : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentQueue<EtcdPrefixSnapshot> _snapshots = new();
    private readonly ConcurrentQueue<EtcdFollowStatus> _statuses = new();

    public Reader(EtcdClient client, string prefix, TimeSpan? relistInterval = null)
    {
        var options = new EtcdFollowOptions { RelistInterval = relistInterval ?? TimeSpan.FromMinutes(5), OnStatusChanged = _statuses.Enqueue };
        Reading = Task.Run(async () =>
        {
            await foreach (var snapshot in client.FollowAsync(prefix, options, _stop.Token))
            {
                _snapshots.Enqueue(snapshot);
            }
        });
    }

    public Task Reading { get; }

    public IReadOnlyList<EtcdPrefixSnapshot> Snapshots => [.. _snapshots];

    public IReadOnlyList<EtcdFollowStatus> Statuses => [.. _statuses];

    public EtcdFollowStatusKind? Status => _statuses.LastOrDefault()?.Kind;

    /// <summary>The newest state as <c>key=value</c>, in order.</summary>
    public string Latest => _snapshots.LastOrDefault() is { } last ? TextOf(last) : "none";

    public static string TextOf(EtcdPrefixSnapshot snapshot) =>
        string.Join(' ', snapshot.Items.Select(i => $"{i.Key}={Encoding.UTF8.GetString(i.Value.Value.Span)}"));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }
}
