using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Diagnostics.Page;

/// <summary>Writes down how registration and discovery stand. It only looks: nothing is asked of etcd, and no service is watched for it.</summary>
internal sealed class DiscoveryReporter(IServiceProvider services, ChangeHistory changes, TimeProvider time)
{
    private readonly string _application = services.GetService<IHostEnvironment>()?.ApplicationName ?? "";
    private readonly IServiceRegistration? _registration = services.GetService<IServiceRegistration>();
    private readonly IServiceDirectory? _directory = services.GetService<IServiceDirectory>();
    private readonly PoolCache? _pools = services.GetService<PoolCache>();

    public DiscoveryReport Create(ReportQuery query)
    {
        var views = Views();
        return new DiscoveryReport(
            _application,
            Environment.MachineName,
            time.GetUtcNow(),
            Endpoints(),
            _registration is null ? null : Describe(_registration.Status),
            [.. views.Select(Describe)],
            [.. views.Where(v => query.IsOpen(v.Id)).Select(v => Rows(v, query))],
            changes.Newest);
    }

    /// <summary>What was known of each service before the next look, to see what changed.</summary>
    public IReadOnlyList<ServiceView> Views()
    {
        var watched = Watched();
        var called = _pools?.All.Select(p => ServiceView.Of(p.Name, p.Pool)).ToList() ?? [];
        var isCalled = called.Select(static v => v.Status.Prefix).ToHashSet(StringComparer.Ordinal);
        return
        [
            .. called.Concat(watched.Where(w => !isCalled.Contains(w.Status.Prefix)).Select(static w => ServiceView.Of(w.Status, w.Snapshot)))
                .OrderBy(static v => v.Id, StringComparer.Ordinal),
        ];
    }

    public ServiceRegistrationStatus? RegistrationStatus => _registration?.Status;

    private IReadOnlyList<(ServiceStatus Status, ServiceSnapshot? Snapshot)> Watched() => _directory switch
    {
        null => [],
        ServiceDirectory own => own.Peek(),
        var other => [.. other.Services.Select(s => (s, other.GetSnapshot(s.ServiceName)))],
    };

    private IReadOnlyList<EndpointReport> Endpoints()
    {
        // Without endpoints there is no client, and the page must not be the first to say so.
        if (services.GetService<IOptions<EtcdClientOptions>>() is not { } options || options.Value.Endpoints.Count == 0)
        {
            return [];
        }

        return
        [
            .. services.GetRequiredService<EtcdClient>().GetEndpointStatus().Select(static e => new EndpointReport(
                e.Endpoint.GetLeftPart(UriPartial.Authority), e.ServesCalls, e.ServesStreams, Round(e.PauseLeft), e.IsForeign)),
        ];
    }

    private static RegistrationStateReport Describe(ServiceRegistrationStatus status) => new(
        status.State.ToString(),
        status.InstanceId,
        status.LeaseId == 0 ? "" : status.LeaseId.ToString("x", System.Globalization.CultureInfo.InvariantCulture),
        Round(status.LeaseTimeToLive),
        Round(status.LeaseRemaining),
        status.Keys,
        status.LastError);

    private static ServiceReport Describe(ServiceView view)
    {
        var states = view.Instances;
        var records = view.Snapshot?.Instances ?? [];
        return new ServiceReport(
            view.Id,
            view.Status.ServiceName,
            view.Client,
            view.Status.Prefix,
            view.Policy,
            view.Status.IsReady,
            view.Status.IsConnected,
            view.Snapshot?.Revision ?? view.Status.Revision,
            view.Status.Age is { } age ? Round(age) : null,
            records.Count,
            records.Count(static r => r.IsDraining),
            view.Snapshot?.HeldAddresses.Count ?? 0,
            states.Count(static i => i.IsEjected),
            view.Status.SkippedRecords,
            view.Refused,
            states.Sum(static i => i.Calls),
            states.Sum(static i => i.InFlight),
            view.Status.LastError?.Message);
    }

    private static InstancesReport Rows(ServiceView view, ReportQuery query)
    {
        var rows = view.Describe().Where(r => query.Fits(view.Id, r)).OrderBy(static r => r.Address, StringComparer.Ordinal).ToList();
        return new InstancesReport(view.Id, rows.Count, [.. rows.Take(query.Rows)]);
    }

    private static double Round(TimeSpan time) => Math.Round(time.TotalSeconds, 1);
}
