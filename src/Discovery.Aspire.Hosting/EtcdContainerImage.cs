namespace Aspire.Hosting.Etcd;

/// <summary>The image that etcd's releases name. Its tags are for several architectures.</summary>
internal static class EtcdContainerImage
{
    public const string Registry = "quay.io";
    public const string Image = "coreos/etcd";
    public const string Tag = "v3.6.16";

    /// <summary>The image starts it by its command, which arguments would replace.</summary>
    public const string Entrypoint = "/usr/local/bin/etcd";

    public const string DataDirectory = "/var/lib/etcd";
    public const int ClientPort = 2379;
}
