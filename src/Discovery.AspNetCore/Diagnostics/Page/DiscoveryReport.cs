namespace Discovery.AspNetCore.Diagnostics.Page;

/// <summary>What the page shows, at a moment.</summary>
/// <param name="Application">The application's name.</param>
/// <param name="Machine">The machine's name.</param>
/// <param name="Time">When this was written.</param>
/// <param name="Endpoints">etcd's endpoints.</param>
/// <param name="Registrations">This application's registrations, one for each cluster in which it registers itself.</param>
/// <param name="Services">The services, without their instances.</param>
/// <param name="Details">The instances of the services that were asked for.</param>
/// <param name="Changes">The last changes, the newest first.</param>
internal sealed record DiscoveryReport(
    string Application,
    string Machine,
    DateTimeOffset Time,
    IReadOnlyList<EndpointReport> Endpoints,
    IReadOnlyList<RegistrationReportRow> Registrations,
    IReadOnlyList<ServiceReport> Services,
    IReadOnlyList<InstancesReport> Details,
    IReadOnlyList<ChangeReport> Changes);

/// <summary>An endpoint of etcd.</summary>
/// <param name="Cluster">The cluster's name; null for the default one.</param>
/// <param name="Url">Where it is.</param>
/// <param name="Calls">Whether calls go there.</param>
/// <param name="Streams">Whether watches and lease renewals go there.</param>
/// <param name="PauseSeconds">How long it is left alone after a failure.</param>
/// <param name="Foreign">Whether it belongs to another cluster.</param>
internal sealed record EndpointReport(string? Cluster, string Url, bool Calls, bool Streams, double PauseSeconds, bool Foreign);

/// <summary>This application's registration in one cluster.</summary>
/// <param name="Cluster">The cluster's name; null for the default one.</param>
/// <param name="State">What it is doing.</param>
/// <param name="InstanceId">The id of this process.</param>
/// <param name="Lease">The lease, in hexadecimal as etcdctl prints it; empty while there is none.</param>
/// <param name="TimeToLiveSeconds">For how long it was granted.</param>
/// <param name="RemainingSeconds">How long it lasts without another renewal.</param>
/// <param name="Keys">The keys.</param>
/// <param name="Error">What is wrong, or null.</param>
internal sealed record RegistrationReportRow(
    string? Cluster,
    string State,
    string InstanceId,
    string Lease,
    double TimeToLiveSeconds,
    double RemainingSeconds,
    IReadOnlyList<string> Keys,
    string? Error);

/// <summary>A service as one client sees it.</summary>
/// <param name="Id">Names service and client; never changes while the process runs.</param>
/// <param name="Name">The service's name.</param>
/// <param name="Cluster">The cluster's name; null for the default one.</param>
/// <param name="Client">The client that has connections of its own; null for what the other clients share.</param>
/// <param name="Prefix">Its keys in etcd.</param>
/// <param name="Policy">The balancing policy; null while nobody calls the service.</param>
/// <param name="Ready">Whether there is a snapshot to call by.</param>
/// <param name="Connected">Whether its watch is open.</param>
/// <param name="Revision">etcd's revision of the snapshot.</param>
/// <param name="AgeSeconds">How long ago etcd last confirmed the state; null before it ever did.</param>
/// <param name="Instances">How many instances there are.</param>
/// <param name="Draining">How many of them drain.</param>
/// <param name="Held">How many are no longer in etcd and called nevertheless.</param>
/// <param name="Ejected">How many get no calls because they failed.</param>
/// <param name="Skipped">How many records are no instances.</param>
/// <param name="Refused">How many may not be dialled.</param>
/// <param name="NotSelected">How many the client's settings leave out.</param>
/// <param name="Calls">The calls sent to the present instances.</param>
/// <param name="InFlight">The calls under way.</param>
/// <param name="Error">What is wrong, or null.</param>
internal sealed record ServiceReport(
    string Id,
    string Name,
    string? Cluster,
    string? Client,
    string Prefix,
    string? Policy,
    bool Ready,
    bool Connected,
    long Revision,
    double? AgeSeconds,
    int Instances,
    int Draining,
    int Held,
    int Ejected,
    int Skipped,
    int Refused,
    int NotSelected,
    long Calls,
    int InFlight,
    string? Error);

/// <summary>The instances of a service, as many as were asked for.</summary>
/// <param name="Id">The service's <see cref="ServiceReport.Id"/>.</param>
/// <param name="Matching">How many match the filter.</param>
/// <param name="Rows">The first of them.</param>
internal sealed record InstancesReport(string Id, int Matching, IReadOnlyList<InstanceReport> Rows);

/// <summary>An instance.</summary>
/// <param name="Address">Host and port.</param>
/// <param name="State">Ready, draining, held, ejected, failing (it is to be ejected, and too few would be left), refused or not selected.</param>
/// <param name="Why">Why it is in that state, or null.</param>
/// <param name="EjectedSeconds">For how long it is still ejected.</param>
/// <param name="InstanceId">The process's id.</param>
/// <param name="Zone">The zone.</param>
/// <param name="Version">The version.</param>
/// <param name="Weight">The weight.</param>
/// <param name="Protocols">What it speaks.</param>
/// <param name="Scheme">http or https; null where the record does not say.</param>
/// <param name="Key">The key in etcd.</param>
/// <param name="Tags">The tags.</param>
/// <param name="Metadata">Everything else that the record says.</param>
/// <param name="Calls">The calls sent to it.</param>
/// <param name="Share">Its part of the calls to all present instances, from 0 to 1.</param>
/// <param name="InFlight">The calls under way.</param>
/// <param name="LatencyMilliseconds">The time to response headers that is expected; null while nothing is known.</param>
/// <param name="FailureRate">The part of failed calls among about the last 20, from 0 to 1.</param>
internal sealed record InstanceReport(
    string Address,
    string State,
    string? Why,
    double EjectedSeconds,
    string? InstanceId,
    string? Zone,
    string? Version,
    int Weight,
    string? Protocols,
    string? Scheme,
    string Key,
    IReadOnlyList<string> Tags,
    IReadOnlyDictionary<string, string> Metadata,
    long Calls,
    double Share,
    int InFlight,
    double? LatencyMilliseconds,
    double FailureRate);

/// <summary>A change.</summary>
/// <param name="Time">When it was seen.</param>
/// <param name="Service">The service; null for a registration.</param>
/// <param name="Kind">joined, left, draining, changed, ejected, returned or registration.</param>
/// <param name="What">What changed.</param>
internal sealed record ChangeReport(DateTimeOffset Time, string? Service, string Kind, string What);
