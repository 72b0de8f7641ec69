using Discovery.Etcd.Auth;
using Discovery.Etcd.Connections;

namespace Discovery.Etcd.Calls;

/// <summary>What a failover has to know of an operation.</summary>
internal sealed record Operation
{
    /// <summary>What errors and logs call it.</summary>
    public required string Name { get; init; }

    /// <summary>Where its token comes from; <see langword="null"/> for the operation that fetches tokens.</summary>
    public required TokenSource? Tokens { get; init; }

    /// <summary>What it is sent on.</summary>
    public CallKind Kind { get; init; }

    /// <summary>
    /// Whether it is safe to be sent twice. If not, it is repeated only when it surely was never carried out, and an attempt has no limit of
    /// its own: it may be one that waits.
    /// </summary>
    public bool IsRepeatable { get; init; } = true;

    /// <summary>How long it may take in all; default: the request timeout, and for what is not repeatable no limit once it was sent.</summary>
    public TimeSpan? Limit { get; init; }

    /// <summary>The endpoint to go to first while there is one; default: the pool's choice.</summary>
    public Func<EtcdEndpoint?>? Preferred { get; init; }
}
