using Discovery.Etcd.Connections;

namespace Discovery.Etcd;

/// <summary>How to reach an etcd cluster. Bound from the configuration section <c>Etcd</c>.</summary>
public sealed class EtcdClientOptions
{
    internal const string DefaultSection = "Etcd";

    /// <summary>
    /// The client URLs of the cluster's members, e.g. <c>http://10.0.0.1:2379</c>. An entry may hold several, separated by commas;
    /// one without a scheme (<c>10.0.0.1:2379</c>) is taken as <c>http</c>, or as <c>https</c> when <see cref="Tls"/> is set up.
    /// At least one is required; they are never replaced by what the cluster advertises. All must belong to one cluster: only that of the first
    /// endpoint that answers is used. In configuration, a variable such as <c>Etcd__Endpoints__0</c> replaces one entry of a list from
    /// <c>appsettings.json</c> and leaves the others; one text in <c>Etcd__Endpoints</c> replaces the whole list.
    /// </summary>
    public IList<string> Endpoints { get; set; } = [];

    /// <summary>The user to authenticate as, or <see langword="null"/> (the default) for a cluster without authentication.</summary>
    public string? Username { get; set; }

    /// <summary>The password of <see cref="Username"/>. Never logged.</summary>
    public string? Password { get; set; }

    /// <summary>The total time limit of one unary operation, all attempts together. Default: 5 s.</summary>
    public TimeSpan RequestTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long an operation may be unanswered at one endpoint before it is sent a second time, elsewhere if there are several endpoints;
    /// also the time limit of making a connection. Default: 1 s. The first attempt is not ended, for etcd may only be slow: the first answer
    /// counts, and no more than these two are sent unless the members elected a leader meanwhile.
    /// </summary>
    public TimeSpan AttemptTimeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How often an idle connection with active streams is probed by an HTTP/2 ping. Default and least: 10 s (the server
    /// closes connections that ping more often than every 5 s).
    /// </summary>
    public TimeSpan KeepAlivePingDelay { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a ping may stay unanswered before the connection is given up. Default: 5 s.</summary>
    public TimeSpan KeepAlivePingTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>TLS towards etcd; used for <c>https</c> endpoints.</summary>
    public EtcdTlsOptions Tls { get; set; } = new();

    /// <summary>Checks the settings.</summary>
    /// <returns>One sentence for each that is wrong, with its name, its value and a valid one; none when all is well. Never a password.</returns>
    public IReadOnlyList<string> Validate() => Validate(DefaultSection);

    /// <summary>Checks the settings of a section of its own.</summary>
    /// <param name="section">The path of the section, e.g. <c>Etcd:Clusters:dc2</c>.</param>
    /// <returns>One sentence for each that is wrong, with its path, its value and a valid one; none when all is well. Never a password.</returns>
    public IReadOnlyList<string> Validate(string section) => ClientOptionsRules.Check(this, section);

    internal IReadOnlyList<Uri> ParseEndpoints(ICollection<string> failures, string section = DefaultSection) =>
        EndpointList.Parse(Endpoints, Tls.IsSetUp, failures, section);
}
