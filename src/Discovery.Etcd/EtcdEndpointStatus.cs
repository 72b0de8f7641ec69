namespace Discovery.Etcd;

/// <summary>How an endpoint stands with a client at a moment, without asking it.</summary>
public sealed record EtcdEndpointStatus
{
    /// <summary>The endpoint as configured.</summary>
    public required Uri Endpoint { get; init; }

    /// <summary>Whether reads, writes and lists go there at present.</summary>
    public required bool ServesCalls { get; init; }

    /// <summary>Whether watches and lease renewals go there at present, or will when there are any.</summary>
    public required bool ServesStreams { get; init; }

    /// <summary>How long it is still left alone after it failed; zero when nothing is known against it.</summary>
    public required TimeSpan PauseLeft { get; init; }

    /// <summary>How long ago a call of this client first went there; <see langword="null"/> when none did. Watches and lease renewals do not count.</summary>
    public TimeSpan? SinceFirstUse { get; init; }

    /// <summary>
    /// How long ago it last answered a call of this client, be it with a refusal, whatever happened since; <see langword="null"/> when it never did.
    /// Watches and lease renewals do not count.
    /// </summary>
    public TimeSpan? SinceAnswer { get; init; }

    /// <summary>Why the last call of this client failed there; <see langword="null"/> when it was answered, or got no answer at all.</summary>
    public string? Failure { get; init; }

    /// <summary>Whether it belongs to another cluster than the first endpoint that answered, and so is not used.</summary>
    public required bool IsForeign { get; init; }
}
