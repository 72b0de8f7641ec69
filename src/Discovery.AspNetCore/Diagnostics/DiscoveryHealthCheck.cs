using System.Globalization;
using Discovery.AspNetCore.Feeds;
using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Discovery.AspNetCore.Diagnostics;

/// <summary>Tells whether a service that the application calls has enough instances.</summary>
internal sealed class DiscoveryHealthCheck(
    IServiceDirectory directory, PoolCache pools, CallableInstances callable, string serviceName, int minimum) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        ServiceSnapshot snapshot;
        try
        {
            snapshot = await directory.WaitForReadyAsync(serviceName, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is ServiceDiscoveryException || cancellationToken.IsCancellationRequested)
        {
            var unknown = directory.GetStatus(serviceName);
            return new HealthCheckResult(
                context.Registration.FailureStatus,
                $"It is not known which instances service '{serviceName}' has. {e.Message}",
                exception: null,
                Collect(unknown, [("service", serviceName), ("prefix", unknown.Prefix), ("minimum", minimum), ("connected", unknown.IsConnected)]));
        }

        var status = directory.GetStatus(serviceName);
        var serving = snapshot.Present.Values.Where(static i => i.TakesNewCalls).ToList();
        var ejected = FindEjected(status.Cluster);
        var called = callable.Of(snapshot).Where(i => i.TakesNewCalls && !snapshot.HeldAddresses.Contains(i.Address)).ToList();
        var usable = called.Count(i => !ejected.Contains(i.Address));
        (string Name, object Value)[] facts =
        [
            ("service", serviceName),
            ("prefix", snapshot.Prefix),
            ("usable", usable),
            ("minimum", minimum),
            ("ejected", called.Count - usable),
            ("leftOut", serving.Count - called.Count),
            ("draining", snapshot.Count - snapshot.Held.Count - serving.Count),
            ("held", snapshot.Held.Count),
            ("skippedRecords", status.SkippedRecords),
            ("revision", snapshot.Revision),
            ("connected", status.IsConnected),
        ];
        var data = Collect(status, facts);
        return usable >= minimum
            ? HealthCheckResult.Healthy(data: data)
            : new HealthCheckResult(context.Registration.FailureStatus, Describe(usable, facts), data: data);
    }

    private static Dictionary<string, object> Collect(ServiceStatus status, (string Name, object Value)[] facts)
    {
        var data = facts.ToDictionary(static f => f.Name, static f => f.Value);
        if (status.Cluster is { } cluster)
        {
            data["cluster"] = cluster;
        }

        if (status.Age is { } age)
        {
            data["ageInSeconds"] = age.TotalSeconds;
        }

        return data;
    }

    private string Describe(int usable, (string Name, object Value)[] facts)
    {
        var others = facts.Where(static f => f.Name is "ejected" or "leftOut" or "draining" or "held" or "skippedRecords" && f.Value is not 0)
            .Select(static f => $"{WordsFor(f.Name)}: {f.Value}");
        var more = string.Join(", ", others);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"Service '{serviceName}' has {usable} usable instances at '{facts[1].Value}', and at least {minimum} are expected{(more.Length == 0 ? "" : $" ({more})")}.");
    }

    private static string WordsFor(string fact) => fact switch
    {
        "leftOut" => "left out by Select, AllowedNetworks, AllowedPorts or AllowLoopback",
        "skippedRecords" => "records that are no instances",
        _ => fact,
    };

    /// <summary>The addresses that this application's clients of a cluster leave out at present. Networks of clusters may have the same addresses.</summary>
    private HashSet<string> FindEjected(string? cluster)
        => pools.All.Where(p => p.Pool.ServiceName == serviceName && p.Pool.Status.Cluster == cluster)
            .SelectMany(static p => p.Pool.Current?.Instances ?? [])
            .Where(static i => i.IsEjected)
            .Select(static i => i.Record.Address)
            .ToHashSet(StringComparer.Ordinal);
}
