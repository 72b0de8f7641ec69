using System.Diagnostics;

namespace Discovery.FieldTests.Support;

/// <summary>An application in a process of its own, with an <c>/etc/hosts</c> of its own.</summary>
internal sealed class NamedCaller : IAsyncDisposable
{
    private readonly string _hosts;
    private OwnedProcess? _process;

    private NamedCaller(string hosts) => _hosts = hosts;

    /// <summary>Who is not root may be it in a namespace of his own, where the system allows those.</summary>
    private static string[] Namespaces => Environment.IsPrivilegedProcess ? ["--mount"] : ["--user", "--map-root-user", "--mount"];

    /// <summary>Why there can be none here, or <see langword="null"/>.</summary>
    public static string? GetProblem()
    {
        if (!OperatingSystem.IsLinux())
        {
            return "Hosts of a process' own need Linux.";
        }

        using var probe = Process.Start("/bin/sh", ["-c", $"unshare {string.Join(' ', Namespaces)} true 2>/dev/null"]);
        probe.WaitForExit();
        return probe.ExitCode == 0 ? null : "No mount namespace can be made here.";
    }

    /// <summary>Starts it.</summary>
    /// <param name="etcd">The endpoint of etcd.</param>
    /// <param name="connectionSeconds">How long a connection to an instance is used.</param>
    /// <param name="hosts">The lines of its hosts: an address and a name.</param>
    public static async Task<NamedCaller> StartAsync(string etcd, int connectionSeconds, params string[] hosts)
    {
        var caller = new NamedCaller(Path.GetTempFileName());
        caller.SetHosts(hosts);
        caller._process = await OwnedProcess.StartAsync(
            "unshare",
            [
                .. Namespaces, "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec dotnet \"$@\"",
                caller._hosts, typeof(NamedCaller).Assembly.Location, "call", etcd, $"{connectionSeconds}",
            ]);
        return caller;
    }

    public void SetHosts(params string[] hosts) => File.WriteAllLines(_hosts, ["127.0.0.1 localhost", .. hosts]);

    /// <summary>Waits until its last call got this answer.</summary>
    public Task WaitForAsync(string answer)
        => _process!.WaitForOutputAsync(
            output => output.TrimEnd().Split('\n') is [.., var last] && last == $"answer {answer}", TimeSpan.FromSeconds(60));

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }

        File.Delete(_hosts);
    }
}

/// <summary>A test that needs a <see cref="NamedCaller"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NamedCallerFactAttribute : FactAttribute
{
    private static readonly Lazy<string?> Problem = new(NamedCaller.GetProblem);

    public NamedCallerFactAttribute() => Skip = Problem.Value;
}
