using Discovery.Etcd.Protocol;

namespace Discovery.EmbeddedEtcd.Watches;

/// <summary>What a watch stream has to send next: a finished response, or whatever a watcher has, or, with neither, the progress.</summary>
internal readonly record struct Outgoing(WatchResponse? Response, Watcher? Watcher)
{
    public static Outgoing Progress => default;
}
