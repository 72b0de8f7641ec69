using System.Collections.Concurrent;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Layouts;
using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Feeds;

/// <summary>
/// The instances that others should call: balancers that know neither draining nor ejection, and connect without asking
/// <see cref="AddressFilter"/>.
/// </summary>
internal sealed partial class CallableInstances(
    IServiceDirectory directory,
    IOptionsFactory<EtcdDiscoveryOptions> options,
    IConfiguration configuration,
    ClusterCatalog clusters,
    IServiceProvider services,
    ILogger logger)
{
    /// <summary>How many refused addresses are logged; a prefix full of them must not flood the log.</summary>
    private const int MaxLoggedRefusals = 100;

    private readonly ConcurrentDictionary<string, Settings> _settings = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _loggedRefusals = new(StringComparer.Ordinal);

    /// <summary>Takes what it needs from an application's services.</summary>
    public static CallableInstances Create(IServiceProvider services)
        => new(
            services.GetRequiredService<IServiceDirectory>(),
            services.GetRequiredService<IOptionsFactory<EtcdDiscoveryOptions>>(),
            services.GetRequiredService<IConfiguration>(),
            services.GetRequiredService<ClusterCatalog>(),
            services,
            services.GetRequiredService<ILogger<IServiceDirectory>>());

    /// <summary>
    /// Those that are selected, may be dialled and serve. Only where none serves: those that are about to stop, which still answer; and where
    /// there are none of those either, the held ones, of which nobody knows.
    /// </summary>
    public IReadOnlyList<ServiceInstance> Of(ServiceSnapshot snapshot)
    {
        var (settings, filter, _) = SettingsOf(snapshot.ServiceName);
        List<ServiceInstance> serving = [];
        List<ServiceInstance> withdrawn = [];
        foreach (var instance in Allowed(snapshot.Present.Values, settings, filter))
        {
            (instance.TakesNewCalls ? serving : withdrawn).Add(instance);
        }

        return serving.Count > 0 ? serving
            : withdrawn.Count > 0 ? withdrawn
            : [.. Allowed(snapshot.Held.Values, settings, filter)];
    }

    /// <summary>Whether an instance may be dialled by the settings of its service; one that may not is logged.</summary>
    public bool MayBeDialled(ServiceInstance instance)
    {
        var isAllowed = SettingsOf(instance.ServiceName).Filter.Allows(instance);
        if (!isAllowed)
        {
            Refuse(instance);
        }

        return isAllowed;
    }

    /// <summary>Those of them that have an endpoint's name, and the first scheme that any of these supports.</summary>
    /// <param name="snapshot">The service.</param>
    /// <param name="endpointName">The name, whatever its case; null for any.</param>
    /// <param name="schemes">The schemes, those to be preferred first; empty for any.</param>
    public List<ServiceInstance> Of(ServiceSnapshot snapshot, string? endpointName, IReadOnlyList<string> schemes)
    {
        var instances = Of(snapshot);
        List<ServiceInstance> named = string.IsNullOrEmpty(endpointName)
            ? [.. instances]
            : [.. instances.Where(i => i.EndpointName.Equals(endpointName, StringComparison.OrdinalIgnoreCase))];
        return schemes.Count == 0
            ? named
            : schemes.Select(scheme => named.FindAll(i => i.Supports(scheme))).FirstOrDefault(static fitting => fitting.Count > 0) ?? [];
    }

    private IEnumerable<ServiceInstance> Allowed(IEnumerable<ServiceInstance> instances, EtcdDiscoveryOptions settings, AddressFilter filter)
    {
        foreach (var instance in instances)
        {
            if (!filter.Allows(instance))
            {
                Refuse(instance);
            }
            else if (settings.Select.Fits(instance))
            {
                yield return instance;
            }
        }
    }

    /// <summary>The settings as they stand in the configuration now, or as they last were valid.</summary>
    /// <exception cref="OptionsValidationException">They never were.</exception>
    private Settings SettingsOf(string serviceName)
    {
        var known = _settings.GetValueOrDefault(serviceName);
        if (known is { IsOutdated: false })
        {
            return known;
        }

        // Before they are read, or a change in between is missed.
        var token = configuration.GetReloadToken();
        try
        {
            var current = options.Create(serviceName);
            known = new Settings(current, new AddressFilter(current, IsLocal(current)), token);
        }
        catch (Exception e) when (known is not null)
        {
            Log.ChangeNotUsed(logger, serviceName, e.Message);
            known = known with { Reload = token };
        }

        return _settings[serviceName] = known;
    }

    /// <summary>What the settings or the application's own directory say is not another's word, nor is what an etcd on this machine says.</summary>
    private bool IsLocal(EtcdDiscoveryOptions current)
    {
        if (current.Instances.Count > 0 || directory is not DirectoryRouter router)
        {
            return true;
        }

        var cluster = clusters.Get(current.Cluster);
        return router.Of(cluster) is not ServiceDirectory || cluster.GetService<IServiceSource>(services).Endpoints.Any(LoopbackHost.Is);
    }

    private void Refuse(ServiceInstance instance)
    {
        if (_loggedRefusals.Count < MaxLoggedRefusals && _loggedRefusals.TryAdd(instance.Address, true))
        {
            // Anybody may have written the key.
            Log.Refused(logger, ForeignText.Show(instance.Key), ForeignText.Show(instance.Address));
        }
    }

    private sealed record Settings(EtcdDiscoveryOptions Options, AddressFilter Filter, IChangeToken Reload)
    {
        public bool IsOutdated => Reload.HasChanged;
    }

    private static partial class Log
    {
        [LoggerMessage(2903, LogLevel.Error, "The changed discovery settings of service '{Service}' are not used for those who are handed its instances: {Problem}")]
        public static partial void ChangeNotUsed(ILogger logger, string service, string problem);

        [LoggerMessage(2902, LogLevel.Warning, "The record {Key} leads to {Address}, which may not be dialled (Etcd:Discovery:AllowedNetworks, "
            + "AllowedPorts, AllowLoopback); it is handed to nobody.")]
        public static partial void Refused(ILogger logger, string key, string address);
    }
}
