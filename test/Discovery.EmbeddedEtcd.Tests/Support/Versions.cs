namespace Discovery.EmbeddedEtcd.Tests.Support;

/// <summary>What etcd has changed between the versions that the suite runs on. The embedded one follows the newest of them.</summary>
internal static class Versions
{
    /// <summary>The version that a server tells, without what its build adds, e.g. <c>+embedded</c>.</summary>
    public static Version Parse(string version) => Version.Parse(version.Split('+', '-')[0]);

    /// <summary>A deletion at the compacted revision itself can still be watched.</summary>
    public static bool KeepsDeletionAtCompaction(this Version etcd) => IsSince(etcd, new(3, 4, 34), new(3, 5, 16));

    /// <summary>A progress request is answered by a stream of which all watches have seen everything, and by no other.</summary>
    public static bool TellsProgressOfSyncedStreamsOnly(this Version etcd) => IsSince(etcd, new(3, 4, 31), new(3, 5, 13));

    /// <summary>No progress is told as long as a watch begins in the future.</summary>
    public static bool TellsNoProgressBeforeTheStart(this Version etcd) => IsSince(etcd, new(3, 4, 38), new(3, 5, 22));

    /// <summary>A watch cannot start before the first revision.</summary>
    public static bool RefusesNegativeStarts(this Version etcd) => IsSince(etcd, new(3, 4, 38), new(3, 5, 24));

    /// <summary>There is a method that tells whether authentication is on.</summary>
    public static bool HasAuthStatus(this Version etcd) => etcd >= new Version(3, 5);

    private static bool IsSince(Version etcd, Version in34, Version in35) => etcd >= (etcd < new Version(3, 5) ? in34 : in35);
}
