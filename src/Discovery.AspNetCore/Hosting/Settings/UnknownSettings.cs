using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Pools;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>
/// Warns once, at the start, of settings under <c>Etcd</c> that nothing reads, which are mistyped as a rule, and of names that come with a later
/// change. Values are not shown, for one may be a password.
/// </summary>
internal sealed partial class UnknownSettings(
    IConfiguration configuration, ClusterCatalog clusters, IServiceProvider services, ILogger<EtcdDiscoveryOptions> logger)
    : IHostedService, IDisposable
{
    private readonly SettingShape _known = KnownSettings.Etcd(services.GetServices<PackageSettings>());
    private readonly Lock _gate = new();
    private HashSet<string> _unknown = [];
    private IDisposable? _subscription;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        WarnOfNames();
        _subscription = ChangeToken.OnChange(configuration.GetReloadToken, WarnOfNames);
        WarnOfRegistration();
        WarnOfClusters();
        WarnOfServices();
        WarnOfClients();
        WarnOfEndpoints();
        WarnOfConnectionStrings();
        ValidateServices();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _subscription?.Dispose();

    private static string Hint(string name, List<string> names)
        => names.Count == 0 ? "" : SimilarName.Find(name, names) is { } similar ? $"Did you mean '{similar}'?" : $"There are: {string.Join(", ", names)}.";

    private void WarnOfNames()
    {
        lock (_gate)
        {
            var unknown = UnknownNames.Find(configuration.GetSection(Sections.Etcd), _known).ToList();
            foreach (var name in unknown.Where(u => !_unknown.Contains(u.Path)))
            {
                Log.UnknownSetting(logger, name.Path, ClientNames.DescribeSettingOfService(name, services.GetService<ClientCatalog>()) ?? name.Hint);
            }

            _unknown = [.. unknown.Select(static u => u.Path)];
        }
    }

    /// <summary>A section alone registers nothing. No warning, for applications may share a file.</summary>
    private void WarnOfRegistration()
    {
        var section = configuration.GetSection(Sections.Registration);
        if (clusters.Registering.Count == 0 && section.GetChildren().Any())
        {
            Log.DoesNotRegister(logger, section.Path);
        }
    }

    /// <summary>A section alone adds no cluster.</summary>
    private void WarnOfClusters()
    {
        foreach (var cluster in configuration.GetSection(Sections.Clusters).GetChildren())
        {
            if (clusters.Find(cluster.Key) is null)
            {
                Log.UnknownCluster(logger, cluster.Path, cluster.Key);
            }
        }
    }

    /// <summary>The settings of a service that nobody calls at the start, of a channel for example, would fail at its first call only.</summary>
    private void ValidateServices()
    {
        var options = services.GetService<ClientCatalog>() is null ? null : services.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>();
        List<string> problems = [];
        foreach (var service in configuration.GetSection(Sections.Services).GetChildren())
        {
            // Said with its whole path, for no other place has the cluster of one service.
            var cluster = service.GetSection(nameof(EtcdDiscoveryOptions.Cluster));
            if (clusters.GetProblem(cluster.Path, cluster.Value) is { } problem)
            {
                problems.Add(problem);
                continue;
            }

            if (options is null)
            {
                continue;
            }

            var longNames = ServiceSections.FindLongNames(service.Key, service, KnownSettings.DiscoveredService).Select(static l => l.Name).ToList();
            foreach (var name in longNames.Prepend(service.Key))
            {
                try
                {
                    _ = options.Get(name);
                }
                catch (OptionsValidationException e)
                {
                    problems.AddRange(e.Failures);
                }
            }
        }

        if (problems.Count > 0)
        {
            throw new OptionsValidationException(Sections.Services, typeof(EtcdDiscoveryOptions), problems);
        }
    }

    private void WarnOfServices()
    {
        var clients = services.GetService<ClientCatalog>()?.All.ToList() ?? [];
        var used = clients.Select(static c => c.ServiceName).Distinct(StringComparer.Ordinal).ToList();
        foreach (var service in configuration.GetSection(Sections.Services).GetChildren())
        {
            // A service without a client may be one of the directory's or of a channel's; only a name that looks mistyped, or is a client's, is worth a line.
            if (used.Exists(u => u.Split(':')[0].Equals(service.Key, StringComparison.OrdinalIgnoreCase)))
            {
                continue;
            }

            var similar = SimilarName.Find(service.Key, used);
            if (ClientNames.Find(service.Key, clients, isExact: similar is not null) is { } client)
            {
                Log.ServiceIsClient(logger, service.Path, client.Name, client.ServiceName, $"{Sections.Services}:{client.ServiceName}");
            }
            else if (similar is not null)
            {
                Log.UnusedService(logger, service.Path, service.Key, similar);
            }
        }
    }

    private void WarnOfClients()
    {
        var clients = services.GetService<ClientCatalog>()?.All.ToList() ?? [];
        foreach (var setting in configuration.GetSection(Sections.Clients).GetChildren())
        {
            var client = clients.Find(c => c.Name.Equals(setting.Key, StringComparison.OrdinalIgnoreCase));
            if (client is null)
            {
                var hint = ClientNames.DescribeService(setting.Key, clients) ?? Hint(setting.Key, [.. clients.Select(static c => c.Name)]);
                Log.UnknownClient(logger, setting.Path, setting.Key, hint);
            }
            else if (!client.IsServiceNameDefault)
            {
                Log.ClientIsFixed(logger, setting.Path, setting.Key, client.ServiceName);
            }
        }
    }

    /// <summary>An endpoint that is switched off is never looked for among those that are bound, so a mistyped name would stay unseen.</summary>
    private void WarnOfEndpoints()
    {
        var known = configuration.GetSection("Kestrel:Endpoints").GetChildren().Select(static e => e.Key).ToList();
        if (known.Count == 0)
        {
            return;
        }

        known.AddRange([Uri.UriSchemeHttp, Uri.UriSchemeHttps]);
        foreach (var endpoint in configuration.GetSection(Sections.Registration).GetSection(nameof(EtcdRegistrationOptions.Endpoints)).GetChildren())
        {
            if (!known.Contains(endpoint.Key, StringComparer.OrdinalIgnoreCase)
                && bool.TryParse(endpoint[nameof(RegisteredEndpointOptions.Enabled)], out var isEnabled) && !isEnabled)
            {
                Log.UnknownEndpoint(logger, endpoint.Path, Hint(endpoint.Key, known));
            }
        }
    }

    /// <summary>Aspire and others hand connection strings on; beside endpoints from appsettings.json the application would call another etcd.</summary>
    private void WarnOfConnectionStrings()
    {
        foreach (var cluster in clusters.All)
        {
            var name = cluster.Name ?? Sections.ConnectionString;
            var section = configuration.GetSection(cluster.Section);
            var setting = EtcdConnectionString.SettingOf(name);
            if (Sections.ReadList(configuration, configuration.GetSection(EtcdConnectionString.Section), name) is { Count: > 0 } unread
                && Sections.ReadList(configuration, section, nameof(EtcdClientOptions.Endpoints)) is { Count: > 0 } read && !read.SequenceEqual(unread))
            {
                Log.UnusedConnectionString(logger, setting, $"{section.Path}:{nameof(EtcdClientOptions.Endpoints)}");
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2001, LogLevel.Warning, "The setting {Setting} is not known and has no effect. {Hint}")]
        public static partial void UnknownSetting(ILogger logger, string setting, string hint);

        [LoggerMessage(2009, LogLevel.Information, "The settings {Setting} have no effect: this application does not register itself, which AddEtcdRegistration() does.")]
        public static partial void DoesNotRegister(ILogger logger, string setting);

        [LoggerMessage(2002, LogLevel.Warning, "The setting {Setting} is for service '{Service}', which no client discovers. Did you mean '{Similar}'?")]
        public static partial void UnusedService(ILogger logger, string setting, string service, string similar);

        [LoggerMessage(2012, LogLevel.Warning, "The setting {Setting} is for a service, but '{Client}' is a client, and its service is '{Service}': write {Right}.")]
        public static partial void ServiceIsClient(ILogger logger, string setting, string client, string service, string right);

        [LoggerMessage(2004, LogLevel.Warning, "The settings {Setting} are for cluster '{Cluster}', which the application does not have; they "
            + "have no effect. Add it by AddKeyedEtcdClient.")]
        public static partial void UnknownCluster(ILogger logger, string setting, string cluster);

        [LoggerMessage(2005, LogLevel.Warning, "The settings {Setting} are for the client '{Client}', which the application does not have; they "
            + "have no effect. {Hint}")]
        public static partial void UnknownClient(ILogger logger, string setting, string client, string hint);

        [LoggerMessage(2006, LogLevel.Warning, "The settings {Setting} have no effect: code says that the client '{Client}' calls service '{Service}'.")]
        public static partial void ClientIsFixed(ILogger logger, string setting, string client, string service);

        [LoggerMessage(2003, LogLevel.Warning, "The setting {Setting} is for an endpoint that Kestrel does not have. {Hint}")]
        public static partial void UnknownEndpoint(ILogger logger, string setting, string hint);

        [LoggerMessage(2007, LogLevel.Warning, "{Setting} has no effect, for {Endpoints} is set and says something else. Remove one of the two.")]
        public static partial void UnusedConnectionString(ILogger logger, string setting, string endpoints);
    }
}
