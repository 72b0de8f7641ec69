using System.Globalization;
using Discovery.AspNetCore.Feeds;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.ServiceDiscovery;

namespace Discovery.AspNetCore.ServiceDiscovery.Providers;

/// <summary>Resolves one name. Once the service was seen it answers at once and never fails, whatever etcd does.</summary>
internal sealed partial class EtcdServiceEndpointProvider(
    EndpointRequest request,
    FeedCatalog feeds,
    EndpointList list,
    IServiceDirectory directory,
    EmptyServiceBehavior whenEmpty,
    ILogger logger) : IServiceEndpointProvider
{
    private readonly Lock _gate = new();
    private ServiceFeed? _feed;
    private bool _isDisposed;
    private bool _isEmptyLogged;

    public async ValueTask PopulateAsync(IServiceEndpointBuilder endpoints, CancellationToken cancellationToken)
    {
        // What stands in the configuration, as with Aspire in development, comes first.
        if (endpoints.Endpoints.Count > 0)
        {
            return;
        }

        var feed = Feed();

        // Before the snapshot, or a change between the two would be missed.
        endpoints.AddChangeToken(feed.Token);
        var snapshot = await FindAsync(feed, cancellationToken).ConfigureAwait(false);
        var found = snapshot is null ? [] : list.Create(snapshot, request);
        if (found.Count == 0 && snapshot is not null)
        {
            OnEmpty(snapshot);
        }

        foreach (var endpoint in found)
        {
            _isEmptyLogged = false;
            endpoint.Features.Set<IServiceEndpointProvider>(this);
            endpoints.Endpoints.Add(endpoint);
        }
    }

    public ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _isDisposed = true;
            if (_feed is not null)
            {
                feeds.Release(_feed);
                _feed = null;
            }
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>Is logged as the source of endpoints.</summary>
    public override string ToString() => "etcd";

    private ServiceFeed Feed()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            return _feed ??= feeds.Acquire(request.ServiceName);
        }
    }

    private async ValueTask<ServiceSnapshot?> FindAsync(ServiceFeed feed, CancellationToken cancellationToken)
    {
        try
        {
            return await feed.WaitForReadyAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (ServiceDiscoveryException) when (whenEmpty == EmptyServiceBehavior.Fail)
        {
            throw;
        }
        catch (Exception e) when (e is not OperationCanceledException && whenEmpty == EmptyServiceBehavior.FallThrough)
        {
            // Names of other hosts come here too; etcd's outage is not theirs.
            if (!_isEmptyLogged)
            {
                _isEmptyLogged = true;
                Log.NotReady(logger, request.Query.ToString()!, request.ServiceName, e.Message);
            }

            return null;
        }
    }

    private void OnEmpty(ServiceSnapshot snapshot)
    {
        var problem = Describe(snapshot);
        if (whenEmpty == EmptyServiceBehavior.Fail)
        {
            throw new ServiceDiscoveryException(request.ServiceName, problem);
        }

        if (!_isEmptyLogged)
        {
            _isEmptyLogged = true;
            Log.Empty(logger, request.Query.ToString()!, problem);
        }
    }

    private string Describe(ServiceSnapshot snapshot)
    {
        var name = request.ServiceName;
        if (snapshot.Instances.Count > 0)
        {
            return string.Create(
                CultureInfo.InvariantCulture,
                $"None of the {snapshot.Instances.Count} instances of service '{name}' fits '{request.Query}': check the scheme, the endpoint's name, Etcd:Discovery:Select and AllowedNetworks.");
        }

        var skipped = directory.GetStatus(name).SkippedRecords;
        var unreadable = skipped == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $", and {skipped} records there are no instances");
        return $"Service '{name}' has no instance in etcd at '{snapshot.Prefix}'{unreadable}. Is it registered by this name, in this case? "
            + $"Another is set by Etcd:ServiceDiscovery:ServiceNames:{request.Query.ServiceName}.";
    }

    private static partial class Log
    {
        [LoggerMessage(4001, LogLevel.Information, "'{Query}' is left to the next provider and to DNS: {Problem}")]
        public static partial void Empty(ILogger logger, string query, string problem);

        [LoggerMessage(4002, LogLevel.Warning, "'{Query}' is left to the next provider and to DNS until service '{Service}' is known: {Problem}")]
        public static partial void NotReady(ILogger logger, string query, string service, string problem);
    }
}
