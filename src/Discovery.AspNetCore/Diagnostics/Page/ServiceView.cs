using Discovery.AspNetCore.Pools;

namespace Discovery.AspNetCore.Diagnostics.Page;

/// <summary>A service at a moment, as one client sees it or, where nobody calls it, as the directory does.</summary>
/// <param name="Id">Names cluster, client and service.</param>
/// <param name="Client">The client, where it has connections of its own.</param>
/// <param name="Status">How it stands with etcd.</param>
/// <param name="Snapshot">The records.</param>
/// <param name="Policy">The policy in force; null where nobody calls.</param>
/// <param name="Instances">The live state of the instances; empty where nobody calls.</param>
/// <param name="Refused">How many may not be dialled.</param>
internal sealed record ServiceView(
    string Id, string? Client, ServiceStatus Status, ServiceSnapshot? Snapshot, string? Policy, IReadOnlyList<InstanceState> Instances, int Refused)
{
    public static ServiceView Of(string optionsName, ServicePool pool)
    {
        var current = pool.Current;
        var status = pool.Status;
        var client = optionsName == pool.ServiceName ? null : optionsName[..^(pool.ServiceName.Length + 1)];
        return new ServiceView(
            IdOf(optionsName, status), client, status, current?.Snapshot, pool.PolicyName, current?.Instances ?? [], current?.Refused ?? 0);
    }

    public static ServiceView Of(ServiceStatus status, ServiceSnapshot? snapshot)
        => new(IdOf(status.ServiceName, status), null, status, snapshot, null, [], 0);

    private static string IdOf(string name, ServiceStatus status) => status.Cluster is null ? name : $"{status.Cluster}/{name}";

    /// <summary>The instances with their live state where there is one.</summary>
    public IEnumerable<InstanceReport> Describe()
    {
        var states = new Dictionary<string, InstanceState>(Instances.Count, StringComparer.Ordinal);
        var all = 0L;
        foreach (var instance in Instances)
        {
            states[instance.Record.Address] = instance;
            all += instance.Calls;
        }

        return (Snapshot?.Instances ?? []).Select(record => Describe(record, states.GetValueOrDefault(record.Address), all));
    }

    private InstanceReport Describe(ServiceInstance record, InstanceState? state, long allCalls)
    {
        var isHeld = Snapshot!.HeldAddresses.Contains(record.Address);
        var (name, why) = state switch
        {
            { IsEjected: true } => ("ejected", state.Health.Reason),
            null when Policy is not null && isHeld => ("held", "it vanished from etcd without draining, and gets no calls, for they fail or it may not be dialled"),
            null when Policy is not null => ("refused", "it may not be dialled (Etcd:Discovery:AllowedNetworks, AllowedPorts, AllowLoopback)"),
            _ when isHeld => ("held", "it vanished from etcd without draining, with most of the service"),
            _ when record.IsDraining => ("draining", null),
            _ when !record.TakesNewCalls => ("draining", "its weight is 0"),
            _ => ("ready", (string?)null),
        };
        var latency = state?.Latency ?? TimeSpan.Zero;
        return new InstanceReport(
            record.Address,
            name,
            why,
            state is { IsEjected: true } ? Math.Round(state.EjectionLeft.TotalSeconds, 1) : 0,
            record.InstanceId,
            record.Zone,
            record.Version,
            record.Weight,
            Names(record.Protocols),
            record.Scheme,
            record.Key,
            record.Tags,
            record.Metadata,
            state?.Calls ?? 0,
            allCalls == 0 ? 0 : Math.Round((double)(state?.Calls ?? 0) / allCalls, 4),
            state?.InFlight ?? 0,
            latency == TimeSpan.Zero ? null : Math.Round(latency.TotalMilliseconds, 2),
            Math.Round(state?.FailureRate ?? 0, 3));
    }

    private static string? Names(InstanceProtocols protocols) => protocols switch
    {
        InstanceProtocols.Unspecified => null,
        InstanceProtocols.Http1 => "HTTP/1.1",
        InstanceProtocols.Http2 => "HTTP/2",
        _ => "HTTP/1.1, HTTP/2",
    };
}
