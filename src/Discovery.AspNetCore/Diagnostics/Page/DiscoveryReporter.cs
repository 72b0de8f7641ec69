using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Watching;
using Discovery.Etcd;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Diagnostics.Page;

/// <summary>
/// Writes down how registration and discovery stand. It only looks: nothing is asked of etcd, and no service is watched for it. A directory or a
/// registration that is the application's own may throw anything: what cannot be read is left out.
/// </summary>
internal sealed class DiscoveryReporter(IServiceProvider services, ChangeHistory changes, TimeProvider time)
{
    private readonly string _application = services.GetService<IHostEnvironment>()?.ApplicationName ?? "";
    private readonly ClusterCatalog _clusters = services.GetRequiredService<ClusterCatalog>();
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
            [.. Registrations().Select(Describe)],
            [.. views.Select(Describe)],
            [.. views.Where(v => query.IsOpen(v.Id)).Select(v => Rows(v, query))],
            changes.Newest);
    }

    /// <summary>
    /// What is known of each service. There may be two of one name, as when it is called both by its settings and by the channels of the cluster that
    /// those name, or is watched twice since its settings were changed; each has an id of its own.
    /// </summary>
    public IReadOnlyList<ServiceView> Views()
    {
        var watched = Watched();
        var called = _pools?.All.Select(p => Read(() => ServiceView.Of(p.OptionsName, p.Pool))).OfType<ServiceView>().ToList() ?? [];
        called.AddRange(services.GetServices<IServiceViewSource>().SelectMany(s => Read(() => s.ViewsOf(watched)) ?? []));
        var isCalled = called.Select(static v => (v.Status.Cluster, v.Status.Prefix)).ToHashSet();
        return
        [
            .. called.Concat(watched.Where(w => !isCalled.Contains((w.Status.Cluster, w.Status.Prefix))).Select(static w => ServiceView.Of(w.Status, w.Snapshot)))
                .GroupBy(static v => v.Id, StringComparer.Ordinal)
                .SelectMany(static alike => alike.Select(static (v, i) => i == 0 ? v : v with { Id = $"{v.Id} ({i + 1})" }))
                .OrderBy(static v => v.Id, StringComparer.Ordinal),
        ];
    }

    /// <summary>How the registrations stand, one for each cluster in which the application registers itself.</summary>
    public IEnumerable<ServiceRegistrationStatus> Registrations()
        => _clusters.Registering.Select(c => Read(() => c.GetService<IServiceRegistration>(services).Status)).OfType<ServiceRegistrationStatus>();

    private IReadOnlyList<(ServiceStatus Status, ServiceSnapshot? Snapshot)> Watched() => _directory switch
    {
        null => [],
        ServiceDirectory own => own.Peek(),
        DirectoryRouter router => [.. _clusters.All.Select(router.Of).OfType<ServiceDirectory>().SelectMany(static d => d.Peek())],
        var other => [.. (Read(() => other.Services) ?? []).Select(s => (s, Read(() => other.GetSnapshot(s.ServiceName))))],
    };

    private static T? Read<T>(Func<T?> read)
        where T : class
    {
        try
        {
            return read();
        }
        catch (Exception e) when (!(e is ObjectDisposedException disposed && EtcdServiceSource.IsDisposed(disposed)))
        {
            return null;
        }
    }

    private IReadOnlyList<EndpointReport> Endpoints()
    {
        var options = services.GetRequiredService<IOptionsMonitor<EtcdClientOptions>>();
        return
        [
            // Without endpoints there is no client, and the page must not be the first to say so.
            .. _clusters.All.Where(c => options.Get(c.OptionsName).Endpoints.Count > 0).SelectMany(c => c.GetService<EtcdClient>(services).GetEndpointStatus()
                .Select(e => new EndpointReport(
                    c.Name, e.Endpoint.GetLeftPart(UriPartial.Authority), e.ServesCalls, e.ServesStreams, Round(e.PauseLeft), e.IsForeign))),
        ];
    }

    private static RegistrationReportRow Describe(ServiceRegistrationStatus status) => new(
        status.Cluster,
        status.State.ToString(),
        status.InstanceId,
        status.LeaseId == 0 ? "" : status.LeaseId.ToString("x", System.Globalization.CultureInfo.InvariantCulture),
        Round(status.LeaseTimeToLive),
        Round(status.LeaseRemaining),
        status.Keys,
        status.LastError ?? status.ReadError);

    private static ServiceReport Describe(ServiceView view)
    {
        var states = view.Instances;
        var records = view.Snapshot?.Instances ?? [];
        return new ServiceReport(
            view.Id,
            view.Status.ServiceName,
            view.Status.Cluster,
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
            view.CountUnselected(),
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
