using Discovery.AspNetCore.Connections;
using Discovery.AspNetCore.Layouts;

namespace Discovery.AspNetCore;

/// <summary>
/// How services are found and called. Bound from <c>Etcd:Discovery</c> for all services and from
/// <c>Etcd:Discovery:Services:&lt;name&gt;</c> for one; what code sets wins over both.
/// </summary>
public sealed class EtcdDiscoveryOptions : BalancingOptions
{
    /// <summary>
    /// The wire format of the service's records: <c>EtcdNaming</c> (the default) or another of <see cref="ServiceLayouts"/>, with another
    /// root after a colon: <c>EtcdNaming:openim/</c>. Several, separated by commas, are read at once, while a service moves from one to
    /// another: what stands at one address in several of them is one instance.
    /// </summary>
    public string Layout { get; set; } = ServiceLayouts.EtcdNaming;

    /// <summary><see cref="Layout"/> as a list; the two are one setting.</summary>
    public IReadOnlyList<string> Layouts
    {
        get => LayoutList.Split(Layout);
        set => Layout = LayoutList.Join(value);
    }

    /// <summary>
    /// The cluster that services are looked for in, by the name that <c>AddKeyedEtcdClient</c> gave it. Default: none, which is the default
    /// cluster, as is an empty text.
    /// </summary>
    public string? Cluster { get; set => field = value is "" ? null : value; }

    /// <summary>
    /// The service's instances, where they are not to be looked up: addresses or URLs, e.g. <c>127.0.0.1:5001</c> or
    /// <c>https://greeter.example.com</c>, in configuration an array or one text with commas. For development and tests; an application
    /// whose services all have them needs no etcd. Default: none, and etcd is asked. Only for single services.
    /// </summary>
    public IList<string> Instances { get; set; } = [];

    /// <summary>
    /// Which instances are called, by version, tags and metadata. Where none fits, calls fail and say so. Default: all.
    /// </summary>
    public SelectOptions Select { get; set; } = new();

    /// <summary>
    /// The share of calls, in percent, that goes to instances of a version, e.g. 5 for <c>v2</c>; the rest goes to all other versions. Calls
    /// with one hash key go to one version. A version without an instance that is to get calls leaves its share to the rest, and the other way
    /// round. Calls that name a version are not split. Default: none.
    /// </summary>
    public IDictionary<string, double> Split { get; set; } = new Dictionary<string, double>(StringComparer.Ordinal);

    /// <summary>
    /// The scheme of typed gRPC clients and of HttpClients without a base address: <c>http</c> (for gRPC HTTP/2 without TLS; the default) or
    /// <c>https</c>.
    /// </summary>
    public string Scheme { get; set; } = Uri.UriSchemeHttp;

    /// <summary>
    /// How long a call waits for a service that was never seen with an instance: for the service to be listed, and for its first instance.
    /// After one call waited in vain the others fail at once until something changes. Default: 5 s.
    /// </summary>
    public TimeSpan ReadyTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// The time limit of one attempt to connect to an instance, with the resolution of its name and TLS, after which another is tried. A call that spent
    /// twice this time on connecting tries no further instance. Default: 2 s.
    /// </summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How many instances a call tries at most while none can be connected to, so that a fault of the network does not become a storm
    /// of connects. Default: 3.
    /// </summary>
    public int MaxConnectAttempts { get; set; } = 3;

    /// <summary>
    /// How many further attempts of retries and hedges may be made, in percent of the calls; what is beyond is not sent, so that
    /// retries do not multiply the load of a service that fails already. At most 100. Default: 0, which sets no limit.
    /// </summary>
    public double RetryBudgetPercent { get; set; }

    /// <summary>
    /// Whether a request to another host than the service's is sent to the service's instances nevertheless, with all its headers. By
    /// default it fails, because credentials for somebody else would go astray. Hosts of the service are its name and that of the
    /// client's base address. Default: <see langword="false"/>.
    /// </summary>
    public bool AllowOtherHosts { get; set; }

    /// <summary>
    /// How often the service is listed anew although nothing happened, with jitter of a fifth, so that an event that etcd lost heals
    /// by itself. From a second to a day. Default: 5 min.
    /// </summary>
    public TimeSpan RelistInterval { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// How long instances are still called when most of a service vanishes from etcd at once without draining. At most a day.
    /// Default: 5 min; zero switches it off.
    /// </summary>
    public TimeSpan HoldDuration { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// A directory, by its absolute path, for the last known instances of each service, used when the application starts while etcd is away.
    /// Default: none.
    /// </summary>
    public string? SnapshotDirectory { get; set => field = value is "" ? null : value; }

    /// <summary>
    /// The networks that instances may be in, e.g. <c>10.0.0.0/8</c>; others are never dialled. Default: none, which allows all but
    /// link-local addresses, those of cloud metadata services, multicast, and loopback as <see cref="AllowLoopback"/> says. An IPv4 address
    /// within an IPv6 address (NAT64, 6to4) is judged as well.
    /// </summary>
    public IList<string> AllowedNetworks { get; set; } = [];

    /// <summary>
    /// Whether records with a loopback address are dialled though etcd is on another machine. Always so where etcd is reached by a
    /// loopback address itself. Default: <see langword="false"/>.
    /// </summary>
    public bool AllowLoopback { get; set; }

    /// <summary>The ports that instances may have, e.g. <c>5000</c> or <c>8000-8999</c>. Default: none, which allows all.</summary>
    public IList<string> AllowedPorts { get; set; } = [];

    /// <summary>
    /// The name that an https instance's certificate must bear and that is sent as SNI: <c>service</c> for the name in the request's
    /// URI (the default; never that of a <c>Host</c> header), <c>endpoint</c> for the host of the instance's record, so that whoever writes
    /// records chooses the name, or else the name itself, e.g. <c>greeter.example.com</c>.
    /// </summary>
    public string TlsTargetHost { get; set; } = TlsHandshake.Service;

    /// <summary>The settings that differ and are not followed: they are part of connections, clients and watches that stand.</summary>
    internal IEnumerable<string> FindUnfollowed(EtcdDiscoveryOptions changed)
    {
        (string Name, object? Before, object? After)[] settings =
        [
            (nameof(Cluster), Cluster ?? "", changed.Cluster ?? ""),
            (nameof(Layout), Layout, changed.Layout),
            (nameof(Instances), string.Join(',', Instances), string.Join(',', changed.Instances)),
            (nameof(Scheme), Scheme, changed.Scheme),
            (nameof(TlsTargetHost), TlsTargetHost, changed.TlsTargetHost),
            (nameof(RelistInterval), RelistInterval, changed.RelistInterval),
            (nameof(HoldDuration), HoldDuration, changed.HoldDuration),
            (nameof(SnapshotDirectory), SnapshotDirectory, changed.SnapshotDirectory),
        ];
        return settings.Where(static s => !Equals(s.Before, s.After)).Select(static s => s.Name);
    }

    /// <summary>Takes over all settings of others, of which nothing is shared then.</summary>
    internal void CopyFrom(EtcdDiscoveryOptions other)
    {
        base.CopyFrom(other);
        Layout = other.Layout;
        Cluster = other.Cluster;
        Instances = [.. other.Instances];
        Select = other.Select.Copy();
        Split = new Dictionary<string, double>(other.Split, StringComparer.Ordinal);
        Scheme = other.Scheme;
        ReadyTimeout = other.ReadyTimeout;
        ConnectTimeout = other.ConnectTimeout;
        MaxConnectAttempts = other.MaxConnectAttempts;
        RetryBudgetPercent = other.RetryBudgetPercent;
        AllowOtherHosts = other.AllowOtherHosts;
        RelistInterval = other.RelistInterval;
        HoldDuration = other.HoldDuration;
        SnapshotDirectory = other.SnapshotDirectory;
        AllowedNetworks = [.. other.AllowedNetworks];
        AllowLoopback = other.AllowLoopback;
        AllowedPorts = [.. other.AllowedPorts];
        TlsTargetHost = other.TlsTargetHost;
    }

    /// <summary>Takes over what may change while the application runs. The rest is part of connections and watches that stand.</summary>
    internal void Adopt(EtcdDiscoveryOptions changed)
    {
        Policy = changed.Policy;
        Zone = changed.Zone;
        ZoneSpillOver = changed.ZoneSpillOver;
        SlowStart = changed.SlowStart;
        SubsetSize = changed.SubsetSize;
        ClientId = changed.ClientId;
        HashBound = changed.HashBound;
        ReadyTimeout = changed.ReadyTimeout;
        ConnectTimeout = changed.ConnectTimeout;
        MaxConnectAttempts = changed.MaxConnectAttempts;
        AllowOtherHosts = changed.AllowOtherHosts;
        AllowedNetworks = changed.AllowedNetworks;
        AllowedPorts = changed.AllowedPorts;
        AllowLoopback = changed.AllowLoopback;
        RetryBudgetPercent = changed.RetryBudgetPercent;
        Select = changed.Select;
        Split = changed.Split;
        Ejection.Adopt(changed.Ejection);
    }
}
