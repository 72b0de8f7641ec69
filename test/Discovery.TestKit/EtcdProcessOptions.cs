namespace Discovery.TestKit;

/// <summary>How a test's own etcd is started.</summary>
public sealed record EtcdProcessOptions
{
    /// <summary>The path of the etcd to run; <see cref="EtcdBinary.Etcd"/> by default.</summary>
    public string? Etcd { get; init; }

    /// <summary>The scheme of the client URL: <c>http</c>, or <c>https</c> with the certificate flags among <see cref="ExtraArguments"/>.</summary>
    public string ClientScheme { get; init; } = "http";

    /// <summary>Flags to be added as they are, e.g. <c>--auth-token-ttl=2</c>.</summary>
    public IReadOnlyList<string> ExtraArguments { get; init; } = [];

    /// <summary>
    /// Whether elections are fast. One node elects itself after the election timeout, which is then all of its start. Three nodes keep
    /// etcd's own timing by default, for that is what failover is about.
    /// </summary>
    public bool FastElections { get; init; }

    /// <summary>What <see cref="FastElections"/> adds.</summary>
    internal static IReadOnlyList<string> FastElectionArguments { get; } = ["--heartbeat-interval", "20", "--election-timeout", "200"];
}
