using System.Globalization;
using Discovery.AspNetCore.Clusters;
using Discovery.Etcd;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Diagnostics;

/// <summary>Tells whether etcd answers, has a leader, and has raised no alarm.</summary>
internal sealed class EtcdHealthCheck(EtcdClient etcd, Cluster cluster) : IHealthCheck
{
    /// <summary>
    /// For how long what other calls say of etcd holds. A start runs all checks at once while nothing is compiled yet, and so its own question may
    /// take longer than it is waited for, although etcd answers all the while.
    /// </summary>
    private static readonly TimeSpan Recent = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long etcd may take. Kubernetes' probes give the whole answer a second, and a check that waits out an outage fails them all. An etcd that
    /// works tells its status within milliseconds, however slow its disk is: it writes nothing for it.
    /// </summary>
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromMilliseconds(700);

    private static readonly Marshaller<byte[]> Bytes = Marshallers.Create(static (byte[] b) => b, static b => b);
    private static readonly Method<byte[], byte[]> MemberList = new(MethodType.Unary, "etcdserverpb.Cluster", "MemberList", Bytes, Bytes);

    /// <summary>The request with <c>linearizable</c> set, so that only a cluster that has a leader answers it.</summary>
    private static readonly byte[] Linearizable = [1 << 3, 1];

    public static HealthCheckRegistration Register(
        Cluster cluster, string name, HealthStatus? failureStatus, IEnumerable<string>? tags, TimeSpan? timeout)
        => new(name, new Source(cluster).Create, failureStatus ?? HealthStatus.Degraded, tags, timeout ?? DefaultTimeout);

    public static bool Is(HealthCheckRegistration check) => check.Factory.Target is Source;

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var name = cluster.Name is null ? "etcd" : $"The cluster {cluster.Name}";
        var data = new Dictionary<string, object> { ["endpoints"] = etcd.GetEndpointStatus().Select(Describe).ToArray() };
        if (cluster.Name is not null)
        {
            data["cluster"] = cluster.Name;
        }

        try
        {
            var member = await etcd.GetStatusAsync(cancellationToken).ConfigureAwait(false);
            data["answered"] = member.Endpoint.ToString();
            data["version"] = member.Version;
            data["revision"] = member.Revision;
            data["leader"] = member.LeaderId.ToString("x", CultureInfo.InvariantCulture);
            return member switch
            {
                { LeaderId: 0 } => Failure($"{name} has no leader, so it takes no writes: {member.Endpoint} says so."),
                { Errors.Count: > 0 } => Failure($"{name} has raised an alarm, so it takes no writes: {string.Join(", ", member.Errors)}."),
                _ => HealthCheckResult.Healthy(data: data),
            };
        }
        catch (EtcdException e) when (e.Reason == EtcdErrorReason.PermissionDenied)
        {
            return await CheckMembersAsync().ConfigureAwait(false);
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            return OutOfTime();
        }
        catch (EtcdException e)
        {
            return DoesNotAnswer(etcd.Endpoints, e.Message);
        }

        // Where etcd has users, it keeps its status to the role root; its members it tells to all of them.
        async Task<HealthCheckResult> CheckMembersAsync()
        {
            try
            {
                using var call = etcd.CreateCallInvoker().AsyncUnaryCall(
                    MemberList, host: null, new CallOptions(cancellationToken: cancellationToken), Linearizable);
                await call.ResponseAsync.ConfigureAwait(false);
                return HealthCheckResult.Healthy(data: data);
            }
            catch (Exception) when (cancellationToken.IsCancellationRequested)
            {
                // That etcd refused to tell its status, a moment ago, does not say that it has a leader.
                return NoAnswerInTime();
            }
            catch (RpcException e)
            {
                return DoesNotAnswer(etcd.Endpoints, e.Message);
            }
        }

        HealthCheckResult OutOfTime()
        {
            var endpoints = etcd.GetEndpointStatus();
            if (endpoints.Where(static e => e.Failure is null).Min(static e => e.SinceAnswer) is { } since && since <= Recent)
            {
                return Healthy(string.Create(
                    CultureInfo.InvariantCulture, $"{name} answered another call {since.TotalSeconds:0.0} s ago. Its state was not there within {Limit()}."));
            }

            var isFirst = endpoints.All(static e => e is { SinceAnswer: null, Failure: null }) && !(endpoints.Max(static e => e.SinceFirstUse) > Recent);
            return isFirst
                ? Healthy($"The first connection to {name} is still being made. There was no answer within {Limit()}.")
                : NoAnswerInTime();
        }

        HealthCheckResult NoAnswerInTime() => DoesNotAnswer(
            etcd.GetEndpointStatus().Select(static e => e.Failure is null ? e.Endpoint.ToString() : $"{e.Endpoint} ({e.Failure})"),
            $"There was no answer within {Limit()}.");

        string Limit() => string.Create(CultureInfo.InvariantCulture, $"{context.Registration.Timeout.TotalSeconds:0.###} s (the check's timeout)");

        HealthCheckResult Healthy(string description)
        {
            ShowEndpoints();
            return HealthCheckResult.Healthy(description, data);
        }

        HealthCheckResult DoesNotAnswer(IEnumerable<object> endpoints, string why)
        {
            ShowEndpoints();
            return Failure($"{name} does not answer at {string.Join(", ", endpoints)}. {why}");
        }

        // Again: those that failed meanwhile are marked now.
        void ShowEndpoints() => data["endpoints"] = etcd.GetEndpointStatus().Select(Describe).ToArray();

        // Without the exception: the log has its stack trace at each run of an outage, and the description says all that it tells.
        HealthCheckResult Failure(string description) => new(context.Registration.FailureStatus, description, exception: null, data);
    }

    /// <summary>
    /// For an application without endpoints: its start would have failed if its settings or its clients needed the cluster. What code looks up later
    /// shows when it does.
    /// </summary>
    private sealed class NoEtcdHealthCheck(Cluster cluster, MissingEndpoints missing) : IHealthCheck
    {
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            var name = cluster.Name is null ? "etcd" : $"the cluster {cluster.Name}";
            var data = cluster.Name is null ? null : new Dictionary<string, object> { ["cluster"] = cluster.Name };
            return Task.FromResult(missing.Find(cluster) is { } error
                ? new HealthCheckResult(context.Registration.FailureStatus, $"Something here uses {name}, but {error}", exception: null, data)
                : HealthCheckResult.Healthy(
                    $"No etcd is needed here: {cluster.Section}:Endpoints is empty, and nothing was registered or looked up in {name} so far.", data));
        }
    }

    private static string Describe(EtcdEndpointStatus endpoint)
    {
        List<string> uses = [];
        if (endpoint.ServesCalls)
        {
            uses.Add("calls");
        }

        if (endpoint.ServesStreams)
        {
            uses.Add("streams");
        }

        if (endpoint.PauseLeft > TimeSpan.Zero)
        {
            uses.Add(string.Create(CultureInfo.InvariantCulture, $"failed, left alone for {endpoint.PauseLeft.TotalSeconds:0.#} s"));
        }

        if (endpoint.IsForeign)
        {
            uses.Add("belongs to another cluster");
        }

        return uses.Count == 0 ? endpoint.Endpoint.ToString() : $"{endpoint.Endpoint} ({string.Join(", ", uses)})";
    }

    /// <summary>Makes the checks of a cluster; those of this type are known by it.</summary>
    private sealed class Source(Cluster cluster)
    {
        public IHealthCheck Create(IServiceProvider services)
            => services.GetRequiredService<IOptionsMonitor<EtcdClientOptions>>().Get(cluster.OptionsName).Endpoints.Count > 0
                ? new EtcdHealthCheck(cluster.GetService<EtcdClient>(services), cluster)
                : new NoEtcdHealthCheck(cluster, services.GetRequiredService<MissingEndpoints>());
    }
}
