namespace Discovery.AspNetCore;

/// <summary>Which targets <c>MapEtcdPrometheusTargets</c> gives to Prometheus.</summary>
public sealed class EtcdPrometheusOptions
{
    /// <summary>
    /// The services whose instances are targets, exact and case-sensitive. Default: none, which means all. A request can ask for some of
    /// them by <c>?service=greeter</c>, once for each.
    /// </summary>
    public IList<string> Services { get; set; } = [];

    /// <summary>
    /// The name of the Kestrel endpoint that is scraped, e.g. <c>Metrics</c>, where a process has several and one of them has the name; its case does
    /// not matter. A request can ask for another by <c>?endpoint=Metrics</c>. Default: none; then, and where a process has no such endpoint,
    /// it is one that speaks HTTP/1.1 if there is any.
    /// </summary>
    public string? Endpoint { get; set; }

    /// <summary>
    /// The cluster whose services are listed, by the name that <c>AddKeyedEtcdClient</c> gave it. Default: <see langword="null"/>, all clusters;
    /// there are then no targets at all before each of them has answered once.
    /// </summary>
    public string? Cluster { get; set; }

    /// <summary>
    /// The prefix of the targets that OpenIM's servers write for Prometheus, which are given too: <c>openim/prometheus_discovery/</c>. They are
    /// read from <see cref="Cluster"/>, or else the default cluster. Default: none.
    /// </summary>
    public string? OpenImPrefix { get; set; }
}
