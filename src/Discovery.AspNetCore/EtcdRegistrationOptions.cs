using Discovery.AspNetCore.Layouts;

namespace Discovery.AspNetCore;

/// <summary>How this application is registered. Bound from <c>Etcd:Registration</c>; what code sets wins.</summary>
/// <remarks>
/// All but <see cref="InstanceId"/>, <see cref="TimeToLive"/>, <see cref="FailFast"/> and <see cref="StartWithdrawn"/> may change while
/// the application runs, by an edit of appsettings.json for example: keys whose content changed are put again, new ones are put, and those
/// that are to go say that they drain before they go. A change that is not valid is logged and not used.
/// </remarks>
public sealed class EtcdRegistrationOptions
{
    /// <summary>Whether anything is registered. Default: <see langword="true"/>.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>
    /// The name under which clients find this application, e.g. <c>greeter</c>. Required unless <see cref="Services"/> names some.
    /// </summary>
    public string? ServiceName { get; set; }

    /// <summary>The services of an application that has several, by name, with what differs from the settings here.</summary>
    public IDictionary<string, RegisteredServiceOptions> Services { get; } =
        new Dictionary<string, RegisteredServiceOptions>(StringComparer.Ordinal);

    /// <summary>
    /// The wire formats to write: <c>EtcdNaming</c> (the default) or others of <see cref="ServiceLayouts"/>, with another root after a colon
    /// (<c>EtcdNaming:openim/</c>). Several, separated by commas, are written under one lease.
    /// </summary>
    public string Layout { get; set; } = ServiceLayouts.EtcdNaming;

    /// <summary><see cref="Layout"/> as a list; the two are one setting.</summary>
    public IReadOnlyList<string> Layouts
    {
        get => LayoutList.Split(Layout);
        set => Layout = LayoutList.Join(value);
    }

    /// <summary>The id of this process. Default: the machine's name and eight random digits. Two processes must not have the same.</summary>
    public string? InstanceId { get; set; }

    /// <summary>
    /// The lease's time to live in whole seconds: how long a crashed instance still stands in etcd. Default: 10 s; least: 2 s, which is
    /// the least that etcd grants with its default settings.
    /// </summary>
    public TimeSpan TimeToLive { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// The URLs by which others reach this application, e.g. <c>http://10.0.0.1:5000</c>, instead of the addresses Kestrel is bound to.
    /// Replicas behind one proxy may have the same: each has its own key, and clients see one instance.
    /// In configuration an array, or one text with commas.
    /// </summary>
    public IList<string> AdvertisedUrls { get; } = [];

    /// <summary>The host by which others reach this application, with the bound ports. Default: chosen from the bound addresses.</summary>
    public string? AdvertisedHost { get; set; }

    /// <summary>The port by which others reach this application, e.g. a container's published one. Only with one bound endpoint.</summary>
    public int? AdvertisedPort { get; set; }

    /// <summary>
    /// Networks as <c>10.0.0.0/8</c>: an endpoint that is bound to all addresses is advertised by the machine's first address in the
    /// first of them. Default: none, and the address of the route towards etcd is advertised, or of the default route where etcd is on
    /// loopback.
    /// </summary>
    public IList<string> PreferredNetworks { get; } = [];

    /// <summary>
    /// Whether a loopback address may be advertised. Default: <see langword="null"/>, which means only when etcd itself is on loopback.
    /// </summary>
    public bool? AllowLoopback { get; set; }

    /// <summary>Settings of single Kestrel endpoints, by their name in <c>Kestrel:Endpoints</c>; an unnamed one goes by its scheme.</summary>
    public IDictionary<string, RegisteredEndpointOptions> Endpoints { get; } =
        new Dictionary<string, RegisteredEndpointOptions>(StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// The share of calls relative to the other instances, 1 to 1,000,000; 0 asks for no new calls while others are there. Default: 10.
    /// </summary>
    public int Weight { get; set; } = ServiceInstance.DefaultWeight;

    /// <summary>The availability zone; clients prefer their own. Default: none.</summary>
    public string? Zone { get; set => field = value is "" ? null : value; }

    /// <summary>The version of the application, for people and routing. Default: none.</summary>
    public string? Version { get; set => field = value is "" ? null : value; }

    /// <summary>Free labels. Default: none.</summary>
    public IList<string> Tags { get; } = [];

    /// <summary>Further metadata; the names that the other settings use (<c>id</c>, <c>weight</c>, …) are reserved. Default: none.</summary>
    public IDictionary<string, string> Metadata { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>
    /// Whether Kestrel accepts calls whose <c>:authority</c> is what grpc-go makes of a target in etcd, such as <c>greeter/</c> or
    /// <c>services%2Fgreeter</c>. Only names of registered services are accepted, and the application sees the service's name as the
    /// host, which <c>AllowedHosts</c> must allow. Default: <see langword="true"/>; otherwise Kestrel resets such calls.
    /// </summary>
    public bool AcceptGoAuthority { get; set; } = true;

    /// <summary>
    /// Whether the application starts out of service, to warm up for example, until <see cref="IServiceRegistration.RestoreAsync"/>.
    /// Default: <see langword="false"/>.
    /// </summary>
    public bool StartWithdrawn { get; set; }

    /// <summary>
    /// Whether the application serves on for <see cref="DrainDelay"/> and <see cref="LeaveDelay"/> when it stops. Default:
    /// <see langword="true"/>; tests set it to <see langword="false"/>, and their applications stop at once.
    /// </summary>
    public bool GracefulStop { get; set; } = true;

    /// <summary>
    /// How long the application serves on after it has said that it drains, so that clients turn away before it leaves.
    /// Default: 1 s.
    /// </summary>
    public TimeSpan DrainDelay { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How long the application serves on after its keys are gone, for clients in other languages, which do not know draining.
    /// Default: 1 s.
    /// </summary>
    public TimeSpan LeaveDelay { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The time limit for each of the two exchanges with etcd at stop: saying that it drains, and leaving. Default: 2 s. Together with
    /// the delays it must stay below <c>HostOptions.ShutdownTimeout</c>.
    /// </summary>
    public TimeSpan StopTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Whether the application fails to start when it cannot be registered within <see cref="Discovery.Etcd.EtcdClientOptions.RequestTimeout"/>.
    /// Default: <see langword="false"/>: it starts at once, serves, and keeps trying. If <see langword="true"/>, it is registered when its
    /// start is over; what only a person can change, such as a missing permission, is not waited for.
    /// </summary>
    public bool FailFast { get; set; }

    /// <summary>Withdrawing while the application's health checks fail.</summary>
    public RegistrationHealthOptions Health { get; } = new();
}
