namespace Discovery.Etcd.Transport;

/// <summary>What goes beside the messages of a call. No record, for its text would show the token.</summary>
/// <param name="token">etcd's auth token, if any. A secret.</param>
/// <param name="requireLeader">Whether the member must refuse, or end a stream, while it knows no leader.</param>
/// <param name="timeout">How long the server may work on the call; <see langword="null"/> for streams.</param>
internal readonly struct GrpcMetadata(string? token, bool requireLeader = false, TimeSpan? timeout = null)
{
    public string? Token => token;

    public bool RequireLeader => requireLeader;

    public TimeSpan? Timeout => timeout;
}
