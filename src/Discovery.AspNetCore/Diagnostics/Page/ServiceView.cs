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
            IdOf(optionsName, status), client, status, current?.Snapshot, pool.PolicyName, current?.Instances ?? [], current?.Refused ?? 0)
        {
            Settings = pool.Options,
            NotPicked = pool.NotPicked,
        };
    }

    public static ServiceView Of(ServiceStatus status, ServiceSnapshot? snapshot)
        => new(IdOf(status.ServiceName, status), null, status, snapshot, null, [], 0);

    /// <summary>The same as another balancer sees it.</summary>
    /// <param name="client">Names it.</param>
    /// <param name="policy">Its policy.</param>
    /// <param name="status">How the service stands with etcd.</param>
    /// <param name="snapshot">The records.</param>
    /// <param name="instances">The live state of those that were called.</param>
    /// <param name="destinations">The addresses that it may call.</param>
    public static ServiceView Of(
        string client,
        string policy,
        ServiceStatus status,
        ServiceSnapshot? snapshot,
        IReadOnlyList<InstanceState> instances,
        IReadOnlySet<string> destinations)
        => new($"{IdOf(status.ServiceName, status)} ({client})", client, status, snapshot, policy, instances, 0) { Destinations = destinations };

    /// <summary>The addresses that another balancer may call; null for this library's own clients.</summary>
    public IReadOnlySet<string>? Destinations { get; init; }

    /// <summary>The settings of the client; null where nobody calls, and for another balancer.</summary>
    public EtcdDiscoveryOptions? Settings { get; init; }

    /// <summary>How many calls there was no instance for.</summary>
    public long NotPicked { get; init; }

    /// <summary>
    /// Whether calls go by the scheme of the settings, as far as can be seen: a client whose base address says another goes by that.
    /// </summary>
    private bool IsSchemeCalled => Settings is { } settings
        && (NotPicked > 0 || Instances.Any(static i => i.Calls > 0))
        && !Instances.Any(i => i.Calls > 0 && !i.Record.Supports(settings.Scheme));

    private static string IdOf(string name, ServiceStatus status) => status.Cluster is null ? name : $"{status.Cluster}/{name}";

    /// <summary>The instances with their live state where there is one.</summary>
    public IEnumerable<InstanceReport> Describe()
    {
        var states = new Dictionary<string, InstanceState>(Instances.Count, StringComparer.OrdinalIgnoreCase);
        var all = 0L;
        foreach (var instance in Instances)
        {
            states[instance.Record.Address] = instance;
            all += instance.Calls;
        }

        var isSchemeCalled = IsSchemeCalled;
        return (Snapshot?.Instances ?? []).Select(record => Describe(record, states.GetValueOrDefault(record.Address), all, isSchemeCalled));
    }

    /// <summary>How many instances the settings leave out, of those that would be called otherwise.</summary>
    public int CountUnselected()
    {
        if (Destinations is not null)
        {
            return Snapshot?.Instances.Count(r => r.TakesNewCalls && !Snapshot.HeldAddresses.Contains(r.Address) && !Destinations.Contains(r.Address)) ?? 0;
        }

        var isSchemeCalled = IsSchemeCalled;
        return Instances.Count(i => i is { IsEjected: false, Record.TakesNewCalls: true }
            && Snapshot?.HeldAddresses.Contains(i.Record.Address) != true
            && WhyUnselected(i.Record, isSchemeCalled) is not null);
    }

    private string? WhyUnselected(ServiceInstance record, bool isSchemeCalled)
    {
        if (Destinations?.Contains(record.Address) == false)
        {
            return $"it is no destination of {Client}: settings leave it out, or it may not be dialled, or does not speak what the cluster sends";
        }

        if (Settings is not { } settings)
        {
            return null;
        }

        var section = $"Etcd:Discovery:Services:{record.ServiceName}";
        return !settings.Select.Fits(record) ? $"it does not fit {section}:Select ({settings.Select})"
            : isSchemeCalled && !record.Supports(settings.Scheme) ? $"its record says {record.Scheme}, and {section}:Scheme is {settings.Scheme}"
            : null;
    }

    private InstanceReport Describe(ServiceInstance record, InstanceState? state, long allCalls, bool isSchemeCalled)
    {
        var isHeld = Snapshot!.HeldAddresses.Contains(record.Address);
        var (name, why) = state switch
        {
            { IsEjected: true } => ("ejected", state.Health.Reason),
            null when Policy is not null && isHeld && Destinations?.Contains(record.Address) != true => ("held", "it vanished from etcd without draining, and gets no calls, for they fail or it may not be dialled"),
            null when Policy is not null && Destinations is null => ("refused", "it may not be dialled (Etcd:Discovery:AllowedNetworks, AllowedPorts, AllowLoopback)"),
            _ when isHeld => ("held", "it vanished from etcd without draining, with most of the service"),
            _ when record.IsDraining => ("draining", null),
            _ when !record.TakesNewCalls => ("draining", "its weight is 0"),
            _ when WhyUnselected(record, isSchemeCalled) is { } reason => ("not selected", reason),
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
