namespace Discovery.TestKit;

/// <summary>Finds etcd and etcdctl.</summary>
public static class EtcdBinary
{
    /// <summary>The path of etcd.</summary>
    /// <exception cref="InvalidOperationException">There is none; says what to do.</exception>
    public static string Etcd => Environment.GetEnvironmentVariable("ETCD_BIN") is { Length: > 0 } configured ? configured : Find("etcd");

    /// <summary>The path of etcdctl: beside etcd, else on the PATH.</summary>
    public static string Etcdctl
    {
        get
        {
            var beside = Path.Combine(Path.GetDirectoryName(Etcd) ?? "", "etcdctl");
            return File.Exists(beside) ? beside : Find("etcdctl");
        }
    }

    private static string Find(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .Select(directory => Path.Combine(directory, name))
            .FirstOrDefault(File.Exists)
        ?? throw new InvalidOperationException($"{name} was not found. Set ETCD_BIN to etcd's path, or run build/etcd.sh.");
}
