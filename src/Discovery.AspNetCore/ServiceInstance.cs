using System.Collections.Frozen;

namespace Discovery.AspNetCore;

/// <summary>One address of a service, as a record in etcd describes it. Immutable.</summary>
public sealed record ServiceInstance
{
    /// <summary>The weight of an instance that says none: 10, as Kitex has it, so that both kinds of server share evenly.</summary>
    public const int DefaultWeight = 10;

    /// <summary>The greatest weight that a setting can have, and a record.</summary>
    internal const int MaxWeight = 1_000_000;

    /// <summary>The etcd key of the record; where several keys lead to one address, that of the record written last
    /// whose instance does not drain.</summary>
    public required string Key { get; init; }

    /// <summary>The service's name, exact and case-sensitive.</summary>
    public required string ServiceName { get; init; }

    /// <summary>The host that is dialled: a name or an IP address, IPv6 without brackets.</summary>
    public required string Host { get; init; }

    /// <summary>The port that is dialled.</summary>
    public required int Port { get; init; }

    /// <summary>
    /// <c>http</c> or <c>https</c>, or <see langword="null"/> when the record does not say, as those of most Go services: such an
    /// instance supports both schemes.
    /// </summary>
    public string? Scheme { get; init; }

    /// <summary>
    /// The versions of HTTP that the instance speaks, which decide what calls it gets. Default: <see cref="InstanceProtocols.Unspecified"/>,
    /// the record does not say, as those of most Go services.
    /// </summary>
    public InstanceProtocols Protocols { get; init; }

    /// <summary>The id of the process behind the address, or <see langword="null"/> when the record does not say.</summary>
    public string? InstanceId { get; init; }

    /// <summary>The share of calls relative to the other instances; with 0 it gets no new calls unless nothing else is left. Default: <see cref="DefaultWeight"/>.</summary>
    public int Weight { get; init; } = DefaultWeight;

    /// <summary>The availability zone, or <see langword="null"/>.</summary>
    public string? Zone { get; init; }

    /// <summary>The version of the service, or <see langword="null"/>.</summary>
    public string? Version { get; init; }

    /// <summary>Free labels.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>Everything else that the record says.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>Whether the instance is about to stop: it finishes its calls and gets no new ones.</summary>
    public bool IsDraining { get; init; }

    /// <summary>The etcd revision of the record's last change.</summary>
    public long Revision { get; init; }

    /// <summary>The etcd lease of the record, which is that of one process; 0 for none, and where it is not known.</summary>
    internal long LeaseId { get; init; }

    /// <summary>
    /// Whether the record has a dot at the end of <see cref="Host"/>. It is no part of it, for one server is one instance however it is written, nor
    /// of the names that TLS goes by; but it decides how the name is looked up.
    /// </summary>
    internal bool IsAbsoluteName { get; init; }

    /// <summary>The host as it is looked up.</summary>
    internal string LookupName => IsAbsoluteName ? Host + "." : Host;

    /// <summary>Host and port as they are written in records: IPv6 in brackets.</summary>
    public string Address => Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}";

    /// <summary>The name of the server's endpoint. Records leave it out where it is the scheme, as it is when nobody names endpoints.</summary>
    internal string EndpointName => Metadata.GetValueOrDefault("endpoint") ?? Scheme ?? Uri.UriSchemeHttp;

    /// <summary>Whether new calls are meant for the instance. One for which they are not still answers, which is better than no answer.</summary>
    internal bool TakesNewCalls => !IsDraining && Weight > 0;

    /// <summary>Whether the instance supports calls of a scheme.</summary>
    internal bool Supports(string scheme) => Scheme is null || Scheme == scheme;

    /// <summary>Whether a call by HTTP/2 may be sent: the record says that the instance speaks it, or does not say what it speaks.</summary>
    internal bool MaySpeakHttp2 => Protocols == InstanceProtocols.Unspecified || Protocols.HasFlag(InstanceProtocols.Http2);

    /// <inheritdoc />
    public override string ToString() => Scheme is null ? Address : $"{Scheme}://{Address}";
}
