using System.Diagnostics;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Diagnostics.Tracing;
using Discovery.AspNetCore.Registration.Health;
using Discovery.Etcd;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>
/// What differs when the application registers for the first time, by the settings of its start: what stands in its way is said, and with
/// <see cref="EtcdRegistrationOptions.FailFast"/> ends the start.
/// </summary>
internal sealed partial class FirstRegistration(
    EtcdRegistrationOptions options, Cluster cluster, Lazy<EtcdClient> client, TimeSpan requestTimeout, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan AnswerGrace = TimeSpan.FromSeconds(1);

    /// <summary>Makes the desired registration, and says why where there is nothing to advertise.</summary>
    /// <exception cref="InvalidOperationException">There is nothing to advertise, and the start is to fail.</exception>
    public async Task<DesiredRegistration> PlanAsync(RegistrationPlanner planner, CancellationToken cancellationToken)
    {
        var desired = await TryPlanAsync(planner, cancellationToken).ConfigureAwait(false);
        if (options.Enabled && desired.Problem is { } problem)
        {
            if (options.FailFast)
            {
                throw new InvalidOperationException($"{problem.Message} Etcd:Registration:FailFast is true.");
            }

            problem.Report(logger);
        }

        return desired;
    }

    /// <summary>Whether the application may be called, by its health checks.</summary>
    public async Task<bool> CheckHealthAsync(HealthMonitor health, CancellationToken cancellationToken)
    {
        // Switched off, nobody waits for the checks; should it be switched on, they have been asked by then.
        var isHealthy = options.Enabled
            ? await health.CheckFirstAsync(options.Health, cancellationToken).ConfigureAwait(false)
            : !health.HasChecks(options.Health);
        cancellationToken.ThrowIfCancellationRequested();
        return isHealthy;
    }

    /// <summary>Waits until etcd has the keys, for as long as an attempt may take.</summary>
    /// <exception cref="InvalidOperationException">It has not, and the start is to fail.</exception>
    public async Task WaitForEtcdAsync(Registrar registrar, Activity? activity, CancellationToken cancellationToken)
    {
        // A moment longer than an attempt takes, for it says at its end what is wrong.
        using var limit = new CancellationTokenSource(requestTimeout + AnswerGrace, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await (options.FailFast ? FlushOrFailAsync(registrar, either.Token) : registrar.FlushAsync(either.Token)).ConfigureAwait(false);
            if (options.FailFast && registrar.Status.Keys.Count == 0)
            {
                // An application that is not in service yet has no keys; then etcd itself is asked whether it is there.
                await AskAsync(either.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is EtcdException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            var cause = registrar.LastError ?? (e is EtcdException ? e.Message : "etcd did not answer.");
            activity.SetFailed("not_registered", cause);
            if (options.FailFast)
            {
                var within = registrar.Refused.IsCompleted ? "" : $" within {requestTimeout.TotalSeconds:0.###} s ({cluster.Section}:RequestTimeout)";
                throw new InvalidOperationException($"This application could not be registered{within}, and Etcd:Registration:FailFast is true. {cause}", e);
            }

            // The client has warned already, of an outage as of a refusal.
            Log.KeepsTrying(logger, string.Join(", ", client.Value.Endpoints), cause);
        }
    }

    /// <summary>Waits until etcd has the desired state, but not for what no waiting changes.</summary>
    private static async Task FlushOrFailAsync(Registrar registrar, CancellationToken cancellationToken)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var flush = registrar.FlushAsync(end.Token);
        if (await Task.WhenAny(flush, registrar.Refused).ConfigureAwait(false) != flush)
        {
            await end.CancelAsync().ConfigureAwait(false);
            await flush.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw await registrar.Refused.ConfigureAwait(false);
        }

        await flush.ConfigureAwait(false);
    }

    private async Task AskAsync(CancellationToken cancellationToken)
    {
        try
        {
            await client.Value.GetStatusAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (EtcdException e) when (e.Reason == EtcdErrorReason.PermissionDenied)
        {
            // Where etcd has users, it keeps its status to the role root. It is there, and who asks is one of them.
        }
    }

    private async Task<DesiredRegistration> TryPlanAsync(RegistrationPlanner planner, CancellationToken cancellationToken)
    {
        try
        {
            return await planner.PlanAsync(options, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not ObjectDisposedException && !cancellationToken.IsCancellationRequested)
        {
            // A sandbox may not tell the machine's addresses; another look comes soon.
            return new DesiredRegistration(options, [], new RegistrationProblem(
                ServiceRegistrationState.NoAddress,
                LogLevel.Error,
                $"This machine's addresses could not be read. {e.Message} Set Etcd:Registration:AdvertisedHost to the address or name by which "
                    + "others reach it, e.g. 10.0.0.1."));
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2704, LogLevel.Information, "This application could not be registered in etcd at {Endpoints} yet; it serves, and keeps "
            + "trying. {Cause}")]
        public static partial void KeepsTrying(ILogger logger, string endpoints, string cause);
    }
}
