using System.Globalization;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Discovery.AspNetCore.Hosting.Settings;

/// <summary>
/// Warns of shares below one percent: who writes 0.05 may mean five percent. They are legal, for the first calls of a new version.
/// </summary>
internal sealed partial class SmallShares(IConfiguration configuration, IServiceProvider services, ILogger<EtcdDiscoveryOptions> logger) : IHostedService, IDisposable
{
    private readonly HashSet<string> _said = new(StringComparer.Ordinal);
    private readonly Lock _gate = new();
    private IDisposable? _subscription;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (services.GetService<ClientCatalog>() is { } clients)
        {
            Warn(clients);
            _subscription = ChangeToken.OnChange(configuration.GetReloadToken, () => Warn(clients));
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _subscription?.Dispose();

    private void Warn(ClientCatalog clients)
    {
        lock (_gate)
        {
            foreach (var name in NamedServices.Find(configuration, clients).Select(static s => s.OptionsName).Prepend(Options.DefaultName).Distinct(StringComparer.Ordinal).ToList())
            {
                foreach (var (setting, share) in Find(name))
                {
                    // Those of all services are found with each of them again.
                    if (_said.Add(string.Create(CultureInfo.InvariantCulture, $"{setting} {share}")))
                    {
                        Log.SmallShare(logger, setting, share, share * 100);
                    }
                }
            }
        }
    }

    private IEnumerable<(string Setting, double Share)> Find(string name)
    {
        EtcdDiscoveryOptions options;
        try
        {
            // Not of the monitor, which may still have those of before a change.
            options = services.GetRequiredService<IOptionsFactory<EtcdDiscoveryOptions>>().Create(name);
        }
        catch (OptionsValidationException)
        {
            // Reported at the start, and where a change is not used.
            yield break;
        }

        foreach (var (version, share) in options.Split.Where(static s => IsSmall(s.Value)))
        {
            yield return ($"{nameof(options.Split)}:{version}", share);
        }

        if (IsSmall(options.RetryBudgetPercent))
        {
            yield return (nameof(options.RetryBudgetPercent), options.RetryBudgetPercent);
        }
    }

    private static bool IsSmall(double percent) => percent is > 0 and < 1;

    private static partial class Log
    {
        [LoggerMessage(2013, LogLevel.Warning, "Etcd:Discovery:{Setting} is {Share}, which is {Share} percent of the calls; for {Percent:0.###} percent write {Percent:0.###}.")]
        public static partial void SmallShare(ILogger logger, string setting, double share, double percent);
    }
}
