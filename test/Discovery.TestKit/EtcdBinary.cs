using System.Diagnostics;
using System.Globalization;

namespace Discovery.TestKit;

/// <summary>Finds etcd and etcdctl.</summary>
public static class EtcdBinary
{
    private static readonly Lazy<Version> LazyVersion = new(() => VersionOf(Etcd));

    /// <summary>The path of etcd: ETCD_BIN, else the one on the PATH.</summary>
    /// <exception cref="InvalidOperationException">There is none; says what to do.</exception>
    public static string Etcd => Configured("ETCD_BIN") ?? Find("etcd");

    /// <summary>The path of etcdctl: ETCDCTL_BIN, else the one beside etcd, else the one on the PATH.</summary>
    /// <exception cref="InvalidOperationException">There is none; says what to do.</exception>
    public static string Etcdctl
    {
        get
        {
            if (Configured("ETCDCTL_BIN") is { } configured)
            {
                return configured;
            }

            var beside = Path.Combine(Path.GetDirectoryName(Etcd) ?? "", "etcdctl");
            return File.Exists(beside) ? beside : Find("etcdctl");
        }
    }

    /// <summary>The version of <see cref="Etcd"/>, e.g. 3.5.30.</summary>
    public static Version Version => LazyVersion.Value;

    /// <summary>Asks an etcd for its version.</summary>
    /// <param name="etcd">The path of the binary.</param>
    public static Version VersionOf(string etcd)
    {
        using var process = Process.Start(new ProcessStartInfo(etcd, ["--version"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            Environment = { ["ETCD_UNSUPPORTED_ARCH"] = "arm64" },
        })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return ReadVersion(output) ?? throw new InvalidOperationException($"'{etcd} --version' does not tell a version:\n{output}");
    }

    /// <summary>Reads what <c>etcd --version</c> prints, whose first line is e.g. <c>etcd Version: 3.5.30</c>.</summary>
    internal static Version? ReadVersion(string output)
    {
        const string Label = "etcd Version: ";
        var start = output.IndexOf(Label, StringComparison.Ordinal);
        if (start < 0)
        {
            return null;
        }

        // A pre-release has more behind a dash, e.g. 3.6.0-rc.1.
        var word = output[(start + Label.Length)..].Split('\n', 2)[0].Trim().Split('-', '+')[0];
        return Version.TryParse(word, out var version) ? version : null;
    }

    private static string? Configured(string variable) => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } path
        ? File.Exists(path) ? path : throw new InvalidOperationException(
            string.Create(CultureInfo.InvariantCulture, $"{variable} is '{path}', which is no file; e.g. {variable}=/usr/bin/etcd"))
        : null;

    private static string Find(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .Select(directory => Path.Combine(directory, name))
            .FirstOrDefault(File.Exists)
        ?? throw new InvalidOperationException($"{name} was not found. Set ETCD_BIN to etcd's path, or run build/etcd.sh.");
}
