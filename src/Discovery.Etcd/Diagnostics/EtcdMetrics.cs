using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Discovery.Etcd.Diagnostics;

/// <summary>
/// What a client measures of its calls to etcd. Tags are bounded: operations are etcd's methods, endpoints those that are configured. While
/// nobody listens nothing is measured.
/// </summary>
internal sealed class EtcdMetrics : IDisposable
{
    public const string MeterName = "Discovery.Etcd";

    private readonly Meter? _own;
    private readonly string? _cluster;
    private readonly Histogram<double> _operations;
    private readonly Histogram<double> _attempts;
    private readonly Counter<long> _reopens;
    private readonly UpDownCounter<long> _connections;

    /// <summary>Creates the instruments.</summary>
    /// <param name="factory">Whose meter is used, and kept; without one the meter is this client's.</param>
    /// <param name="cluster">The cluster's name, where there are several.</param>
    public EtcdMetrics(IMeterFactory? factory, string? cluster)
    {
        _cluster = cluster;
        var meter = factory?.Create(MeterName) ?? (_own = new Meter(MeterName));
        _operations = meter.CreateHistogram(
            "etcd.client.operation.duration", "s", "How long an operation took, all of its attempts together.", advice: Durations.Advice);
        _attempts = meter.CreateHistogram(
            "etcd.client.attempt.duration", "s", "How long one attempt at one endpoint took.", advice: Durations.Advice);
        _reopens = meter.CreateCounter<long>("etcd.client.watch.reopens", "{reopen}", "How often the watch stream ended and was opened again.");
        _connections = meter.CreateUpDownCounter<long>("etcd.client.open_connections", "{connection}", "The connections to etcd that are open.");
    }

    /// <summary>Whether anybody wants to know how long operations take.</summary>
    public bool MeasuresOperations => _operations.Enabled;

    /// <summary>Whether anybody wants to know how long attempts take.</summary>
    public bool MeasuresAttempts => _attempts.Enabled;

    public void OnOperation(string operation, string? error, TimeSpan duration)
        => _operations.TryRecord(duration.TotalSeconds, TagsOf(operation, error));

    public void OnAttempt(string operation, Uri endpoint, string? error, TimeSpan duration)
    {
        var tags = TagsOf(operation, error);
        Add(ref tags, endpoint);
        _attempts.TryRecord(duration.TotalSeconds, tags);
    }

    public void OnReopen(Uri endpoint, string reason)
    {
        if (_reopens.Enabled)
        {
            var tags = TagsOf(operation: null, error: null);
            tags.Add("etcd.client.watch.reopen.reason", reason);
            Add(ref tags, endpoint);
            _reopens.TryAdd(1, tags);
        }
    }

    /// <summary>A connection was opened (1) or closed (-1).</summary>
    public void OnConnections(Uri endpoint, int change)
    {
        var tags = TagsOf(operation: null, error: null);
        Add(ref tags, endpoint);
        _connections.TryAdd(change, tags);
    }

    public void Dispose() => _own?.Dispose();

    private static void Add(ref TagList tags, Uri endpoint)
    {
        tags.Add("server.address", endpoint.IdnHost);
        tags.Add("server.port", endpoint.Port);
    }

    private TagList TagsOf(string? operation, string? error)
    {
        var tags = default(TagList);
        if (operation is not null)
        {
            tags.Add("rpc.method", operation);
        }

        if (error is not null)
        {
            tags.Add("error.type", error);
        }

        if (_cluster is not null)
        {
            tags.Add("discovery.cluster", _cluster);
        }

        return tags;
    }
}
