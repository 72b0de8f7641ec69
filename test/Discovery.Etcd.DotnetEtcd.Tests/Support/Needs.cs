namespace Discovery.Etcd.DotnetEtcd.Tests.Support;

/// <summary>What a test needs besides .NET, to be filtered by: <c>--filter "Needs!=etcd"</c>.</summary>
internal static class Needs
{
    public const string Name = "Needs";
    public const string Etcd = "etcd";
}
