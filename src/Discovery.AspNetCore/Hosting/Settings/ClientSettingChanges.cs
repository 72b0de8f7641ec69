using Discovery.AspNetCore.Clusters;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>
/// Says that a changed setting of the etcd client, such as a new password, waits for the next start: the client is made of those that it starts
/// with. Values are not shown, for one may be a password.
/// </summary>
internal sealed partial class ClientSettingChanges(IConfiguration configuration, ClusterCatalog clusters, ILogger<EtcdDiscoveryOptions> logger)
    : IHostedService, IDisposable
{
    private readonly Lock _gate = new();
    private Dictionary<string, string> _used = [];
    private Dictionary<string, string> _last = [];
    private IDisposable? _subscription;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _used = _last = Read();
        _subscription = ChangeToken.OnChange(configuration.GetReloadToken, Compare);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _subscription?.Dispose();

    private void Compare()
    {
        lock (_gate)
        {
            var now = Read();
            foreach (var setting in now.Keys.Union(_last.Keys).Order(StringComparer.Ordinal))
            {
                if (Differs(setting, now, _last) && Differs(setting, now, _used))
                {
                    Log.NeedsRestart(logger, setting);
                }
            }

            _last = now;
        }
    }

    private static bool Differs(string setting, Dictionary<string, string> one, Dictionary<string, string> other)
        => one.GetValueOrDefault(setting) != other.GetValueOrDefault(setting);

    private Dictionary<string, string> Read()
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var cluster in clusters.All)
        {
            var section = configuration.GetSection(cluster.Section);
            foreach (var setting in Leaves(section, EtcdClientSection.Shape).Where(static s => s.Exists()))
            {
                settings[setting.Path] = Text(setting);
            }

            var connection = configuration.GetSection(EtcdConnectionString.SettingOf(cluster.Name ?? Sections.ConnectionString));
            if (connection.Exists() && !section.GetSection(nameof(EtcdClientOptions.Endpoints)).Exists())
            {
                settings[connection.Path] = Text(connection);
            }
        }

        return settings;
    }

    private static IEnumerable<IConfigurationSection> Leaves(IConfigurationSection section, SettingShape shape)
        => shape.Children.Where(static c => c.Value.Kind != SettingKind.Any).SelectMany(c => c.Value.Kind == SettingKind.Section
            ? Leaves(section.GetSection(c.Key), c.Value)
            : [section.GetSection(c.Key)]);

    private static string Text(IConfigurationSection setting)
        => string.Join('\n', setting.AsEnumerable(makePathsRelative: true).OrderBy(static s => s.Key, StringComparer.Ordinal));

    private static partial class Log
    {
        [LoggerMessage(2008, LogLevel.Warning, "{Setting} was changed; that has no effect before the next start.")]
        public static partial void NeedsRestart(ILogger logger, string setting);
    }
}
