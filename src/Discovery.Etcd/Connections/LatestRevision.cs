using Discovery.Etcd.Protocol;

namespace Discovery.Etcd.Connections;

/// <summary>
/// The cluster's revision by the last answer that a majority stood behind. A member that stays below it was cut off from the others, even
/// if it answers.
/// </summary>
internal sealed class LatestRevision
{
    private long _revision;

    /// <summary>The revision; 0 while none is known.</summary>
    public long Revision => Volatile.Read(ref _revision);

    /// <summary>Takes in a linearizable answer. It may be lower than the last one: the cluster may have been restored from a backup.</summary>
    public void Observe(ResponseHeader? header)
    {
        if (header is not null)
        {
            Volatile.Write(ref _revision, header.Revision);
        }
    }
}
