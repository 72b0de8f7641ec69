using System.Text.Json;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Diagnostics.Prometheus;

/// <summary>
/// The targets that OpenIM's servers write themselves: key <c>prefix/service/index</c>, value <c>{"target":"10.0.0.1:12020","labels":{…}}</c>.
/// </summary>
internal sealed partial class OpenImTargets(IServiceSource source, string prefix, TimeProvider time, ILogger logger, CancellationToken stopping)
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(5);

    private readonly ChangeFeed<EtcdPrefixSnapshot> _feed = new();
    private readonly FollowProblem _problem = new(prefix, logger);
    private int _isStarted;

    /// <summary>The targets now.</summary>
    /// <exception cref="ServiceDiscoveryException">They did not become known within the limit.</exception>
    public async ValueTask<IReadOnlyList<(ServiceInstance Instance, TargetGroup Group)>> GetAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        // Nothing is watched for an endpoint that nobody asks.
        if (Interlocked.Exchange(ref _isStarted, 1) == 0)
        {
            _ = Detached.Run(FollowAsync);
        }

        var snapshot = await _feed.WaitForFirstAsync(limit, time, cancellationToken).ConfigureAwait(false)
            ?? throw NotListed(limit);
        return [.. snapshot.Items.Values.Select(Read).OfType<(ServiceInstance, TargetGroup)>()];
    }

    private ServiceDiscoveryException NotListed(TimeSpan waited)
    {
        var problem = _problem.Current;
        return new ServiceDiscoveryException(
            "",
            $"The targets under '{prefix}' could not be listed within {waited.TotalSeconds:0.###} s (Etcd:Discovery:ReadyTimeout). "
            + (problem is null ? "etcd did not answer yet." : $"The last attempt: {problem.Message}"),
            problem);
    }

    private async Task FollowAsync()
    {
        var options = new EtcdFollowOptions { OnStatusChanged = _problem.OnStatusChanged };
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                await foreach (var snapshot in source.FollowAsync(prefix, options, stopping).ConfigureAwait(false))
                {
                    _feed.Publish(snapshot);
                }

                // The client was disposed.
                break;
            }
            catch (Exception) when (stopping.IsCancellationRequested)
            {
                break;
            }
            catch (ObjectDisposedException e) when (EtcdServiceSource.IsDisposed(e))
            {
                // The application stops.
                break;
            }
            catch (Exception e)
            {
                _problem.OnFailed(e);
                Log.Unexpected(logger, prefix, e);
            }

            await Task.Delay(RetryDelay, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        _feed.Close();
    }

    private (ServiceInstance Instance, TargetGroup Group)? Read(EtcdKeyValue record)
    {
        try
        {
            using var document = JsonDocument.Parse(record.Value, new JsonDocumentOptions { MaxDepth = ObjectRecord.MaxDepth });
            if (ServiceNames.FindInKey(prefix, record.Key) is { } name
                && ServiceAddress.TryParse(document.RootElement.GetProperty("target").GetString(), out var address, out _))
            {
                var labels = new Dictionary<string, string>(StringComparer.Ordinal) { [TargetLabels.Service] = name };
                if (document.RootElement.TryGetProperty("labels", out var own) && own.ValueKind == JsonValueKind.Object)
                {
                    TargetLabels.Add(labels, "", own.EnumerateObject().Where(static l => l.Value.ValueKind == JsonValueKind.String)
                        .Select(static l => KeyValuePair.Create(l.Name, l.Value.GetString()!)));
                }

                var instance = address.ToInstance(name, record);
                return (instance, new TargetGroup([instance.Address], labels));
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            // Anybody may have written it; the others are targets all the same.
        }

        Log.Skipped(logger, ForeignText.ShowKey(record.Key, prefix));
        return null;
    }

    private static partial class Log
    {
        [LoggerMessage(2852, LogLevel.Debug, "The record {Key} is no target for Prometheus and is skipped.")]
        public static partial void Skipped(ILogger logger, string key);

        [LoggerMessage(2853, LogLevel.Error, "Following {Prefix} failed unexpectedly and is soon begun again; until then its last targets are given on.")]
        public static partial void Unexpected(ILogger logger, string prefix, Exception exception);
    }
}
