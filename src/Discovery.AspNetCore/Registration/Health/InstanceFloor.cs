using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration.Health;

/// <summary>Keeps an unhealthy application in service where it would leave too few other instances.</summary>
internal sealed partial class InstanceFloor(Lazy<EtcdClient> client, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan MostStagger = TimeSpan.FromSeconds(1);

    private string? _shortService;

    /// <summary>Decides whether the application is out of service. Not to be called twice at a time.</summary>
    /// <param name="registrar">Knows the settings and the own keys.</param>
    /// <param name="isHealthy">What the health checks say.</param>
    /// <param name="isOut">Whether it is out of service now.</param>
    /// <param name="cancellationToken">Cancels.</param>
    public async Task<bool> DecideAsync(Registrar registrar, bool isHealthy, bool isOut, CancellationToken cancellationToken)
    {
        var minimum = registrar.Options.Health.MinimumInstances;
        if (isHealthy || minimum == 0)
        {
            _shortService = null;
            return !isHealthy;
        }

        try
        {
            // Replicas that fail together decide one after the other, each on what the one before it left.
            await Task.Delay(Random.Shared.NextDouble() * MostStagger, time, cancellationToken).ConfigureAwait(false);
            var shortService = await FindShortServiceAsync(registrar, minimum, cancellationToken).ConfigureAwait(false);
            if (shortService is not null && shortService != _shortService)
            {
                Log.StaysInService(logger, shortService, minimum);
            }

            _shortService = shortService;
            return shortService is null;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // etcd is away, or the application's own layout fails; who cannot see the others changes nothing.
            return isOut;
        }
    }

    private async Task<string?> FindShortServiceAsync(Registrar registrar, int minimum, CancellationToken cancellationToken)
    {
        var options = registrar.Options;
        foreach (var (name, service) in RegistrationRecord.ServicesOf(options))
        {
            // An instance stands in all layouts of its service.
            var layout = registrar.Layouts.Parse(service.Layout ?? options.Layout)[0];
            var listing = await client.Value.ListAsync(layout.GetPrefix(name), cancellationToken: cancellationToken).ConfigureAwait(false);
            var own = registrar.Status.Keys;
            var others = listing.Items
                .Where(record => !own.Contains(record.Key, StringComparer.Ordinal))
                .Select(record => layout.TryRead(name, record, out var instance, out _) ? instance : null)
                .Where(instance => instance is { TakesNewCalls: true } && instance.InstanceId != registrar.InstanceId)
                .Select(static instance => instance!.Address)
                .Distinct(StringComparer.Ordinal)
                .Count();
            if (others < minimum)
            {
                return name;
            }
        }

        return null;
    }

    private static partial class Log
    {
        [LoggerMessage(2765, LogLevel.Warning, "This application serves although it is unhealthy: service '{Service}' would be left with fewer "
            + "than {Minimum} other instances (Etcd:Registration:Health:MinimumInstances).")]
        public static partial void StaysInService(ILogger logger, string service, int minimum);
    }
}
