using System.Collections.Concurrent;
using Discovery.AspNetCore.Clusters;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Watching;

/// <summary>
/// The settings of services as the configuration has them now, or as they last were valid. The options monitor keeps for good what it read first,
/// were it only to validate it at the start.
/// </summary>
internal sealed partial class DiscoverySettings(
    IOptionsMonitor<EtcdDiscoveryOptions> options,
    IOptionsFactory<EtcdDiscoveryOptions> factory,
    IConfiguration configuration,
    ILogger<IServiceDirectory> logger)
{
    private readonly IChangeToken _sinceStart = configuration.GetReloadToken();
    private readonly ConcurrentDictionary<string, IChangeToken> _reloads = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string Name, string Setting), bool> _unfollowed = new();
    private readonly ConcurrentDictionary<(string Name, Cluster? Cluster), string> _notUsed = new();

    /// <summary>The settings of a service or a client. All who ask share them: a change is applied to what was handed out before.</summary>
    /// <param name="name">The name of the options.</param>
    /// <param name="service">The service that messages name, where it has another name.</param>
    /// <exception cref="OptionsValidationException">They never were valid.</exception>
    public EtcdDiscoveryOptions Get(string name, string? service = null)
    {
        var known = options.Get(name);
        if (_reloads.GetValueOrDefault(name, _sinceStart).HasChanged)
        {
            // Before they are read, or a change in between is missed.
            _reloads[name] = configuration.GetReloadToken();
            Follow(name, cluster: null, service ?? name, known, known.Adopt);
        }

        return known;
    }

    /// <summary>The settings of services that have none of their own.</summary>
    public EtcdDiscoveryOptions GetGeneral() => Get(Options.DefaultName, "*");

    /// <summary>New settings of a service in a cluster.</summary>
    /// <param name="name">The name of the options.</param>
    /// <param name="cluster">The cluster; null for the one that the settings name.</param>
    /// <exception cref="OptionsValidationException">They are not valid.</exception>
    public EtcdDiscoveryOptions Create(string name, Cluster? cluster)
    {
        var created = factory.Create(name);
        if (cluster is not null)
        {
            created.Cluster = cluster.Name;
        }

        return created;
    }

    /// <summary>Whether new settings would be valid: where they would not, what was valid last must be kept.</summary>
    /// <param name="name">The name of the options.</param>
    public bool CanCreate(string name)
    {
        try
        {
            factory.Create(name);
            return true;
        }
        catch (Exception)
        {
            // Whatever a broken file leads to, also in the application's own code.
            return false;
        }
    }

    /// <summary>Applies what the configuration has now, and says what of it has to wait for the next start.</summary>
    /// <param name="name">The name of the options.</param>
    /// <param name="cluster">The cluster; null for the one that the settings name.</param>
    /// <param name="service">The service that messages name.</param>
    /// <param name="known">The settings in use.</param>
    /// <param name="apply">Takes the changed ones over.</param>
    public void Follow(string name, Cluster? cluster, string service, EtcdDiscoveryOptions known, Action<EtcdDiscoveryOptions> apply)
    {
        try
        {
            var changed = Create(name, cluster);
            foreach (var setting in known.FindUnfollowed(changed).Where(setting => _unfollowed.TryAdd((name, setting), true)))
            {
                Log.NeedsRestart(logger, setting, service);
            }

            apply(changed);
            _notUsed.TryRemove((name, cluster), out _);
        }
        catch (Exception e)
        {
            // Whatever a broken file leads to, also in the application's own code: what was valid goes on.
            // It is said once, for files are reloaded for whatever changes in them.
            if (_notUsed.GetValueOrDefault((name, cluster)) != e.Message)
            {
                _notUsed[(name, cluster)] = e.Message;
                Log.ChangeNotUsed(logger, service, e.Message);
            }
        }
    }

    /// <summary>Drops what was remembered of settings that nobody goes by any longer.</summary>
    /// <param name="name">The name of the options.</param>
    /// <param name="cluster">The cluster; null for the one that the settings name.</param>
    public void Forget(string name, Cluster? cluster)
    {
        _notUsed.TryRemove((name, cluster), out _);
        if (cluster is null)
        {
            _reloads.TryRemove(name, out _);
            foreach (var (said, _) in _unfollowed.Where(u => u.Key.Name == name))
            {
                _unfollowed.TryRemove(said, out _);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2171, LogLevel.Error, "The changed discovery settings of service '{Service}' are not used: {Problem}")]
        public static partial void ChangeNotUsed(ILogger logger, string service, string problem);

        [LoggerMessage(2172, LogLevel.Warning, "Etcd:Discovery:{Setting} was changed for service '{Service}'; that has no effect before the next start.")]
        public static partial void NeedsRestart(ILogger logger, string setting, string service);
    }
}
