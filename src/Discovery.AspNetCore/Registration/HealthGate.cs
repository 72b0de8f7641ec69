using Discovery.Etcd;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Registration;

/// <summary>Withdraws the application while its health checks fail. Thresholds keep one slow answer from moving traffic.</summary>
internal static partial class HealthGate
{
    public static async Task RunAsync(
        IServiceProvider services,
        RegistrationHealthOptions options,
        Registrar registrar,
        TimeProvider time,
        ILogger logger,
        CancellationToken stop)
    {
        if (!options.Enabled || services.GetService<HealthCheckService>() is not { } checks || !HasChecks(services, options))
        {
            return;
        }

        var unhealthy = false;
        var inARow = 0;
        using var timer = new PeriodicTimer(options.Interval, time);
        do
        {
            try
            {
                var report = await checks.CheckHealthAsync(check => Decides(check, options), stop);
                var fails = report.Status == HealthStatus.Unhealthy;
                inARow = fails == unhealthy ? 0 : inARow + 1;
                if (inARow >= (fails ? options.UnhealthyThreshold : options.HealthyThreshold))
                {
                    unhealthy = fails;
                    inARow = 0;
                    if (fails)
                    {
                        Log.Withdraws(logger, string.Join(", ", report.Entries.Where(static e => e.Value.Status == HealthStatus.Unhealthy).Select(static e => e.Key)));
                    }
                    else
                    {
                        Log.ComesBack(logger);
                    }

                    await registrar.SetUnhealthyAsync(unhealthy, stop);
                }
            }
            catch (EtcdException e)
            {
                // What is wanted is noted; the keeper brings it about when etcd is back.
                Log.Late(logger, e);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
        }
        while (await timer.WaitForNextTickAsync(stop).AsTask().ContinueWith(static t => t.IsCompletedSuccessfully && t.Result, TaskScheduler.Default));
    }

    private static bool HasChecks(IServiceProvider services, RegistrationHealthOptions options)
        => services.GetRequiredService<IOptions<HealthCheckServiceOptions>>().Value.Registrations.Any(check => Decides(check, options));

    private static bool Decides(HealthCheckRegistration check, RegistrationHealthOptions options)
        => options.Tag.Length == 0 || check.Tags.Contains(options.Tag);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "This application withdraws from etcd: unhealthy are {Checks}.")]
        public static partial void Withdraws(ILogger logger, string checks);

        [LoggerMessage(2, LogLevel.Information, "This application is healthy again and comes back to etcd.")]
        public static partial void ComesBack(ILogger logger);

        [LoggerMessage(3, LogLevel.Warning, "etcd could not be told of the health's change yet.")]
        public static partial void Late(ILogger logger, Exception exception);
    }
}
