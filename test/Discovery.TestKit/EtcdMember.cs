namespace Discovery.TestKit;

/// <summary>
/// One member of an etcd cluster, in a process of its own. It can be killed, paused, restarted and wiped; its addresses stay the same.
/// </summary>
public sealed class EtcdMember : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);

    private readonly EtcdProcessOptions _options;
    private readonly string _token;
    private OwnedProcess? _process;

    internal EtcdMember(string name, string token, EtcdProcessOptions options)
    {
        Name = name;
        _token = token;
        _options = options;
    }

    /// <summary>The member's name.</summary>
    public string Name { get; }

    /// <summary>The client URL.</summary>
    public string Endpoint => $"{_options.ClientScheme}://127.0.0.1:{ClientPort}";

    /// <summary>The port of the client URL.</summary>
    public int ClientPort { get; } = FreePort.Next();

    /// <summary>Where its data are.</summary>
    public string Directory { get; } = Path.Combine(Path.GetTempPath(), "etcd-test-" + Guid.NewGuid().ToString("N")[..12]);

    /// <summary>The process id while it runs.</summary>
    public int ProcessId => _process!.Id;

    /// <summary>What the process wrote.</summary>
    public string Output => _process?.Output ?? "";

    internal string PeerUrl => $"http://127.0.0.1:{PeerPort}";

    private int PeerPort { get; } = FreePort.Next();

    /// <summary>Ends the process with SIGKILL. Its data stay.</summary>
    public async Task KillAsync()
    {
        if (_process is { } process)
        {
            await process.DisposeAsync();
        }
    }

    /// <summary>SIGSTOP: the member keeps its connections and answers nothing.</summary>
    public Task PauseAsync() => _process!.PauseAsync();

    /// <summary>SIGCONT.</summary>
    public Task ResumeAsync() => _process!.ResumeAsync();

    /// <summary>Removes the data of a killed member: it starts as an empty one.</summary>
    public void Wipe() => System.IO.Directory.Delete(Directory, recursive: true);

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        if (System.IO.Directory.Exists(Directory))
        {
            System.IO.Directory.Delete(Directory, recursive: true);
        }
    }

    /// <summary>Starts the process, without waiting for the cluster.</summary>
    internal async Task LaunchAsync(string initialCluster)
    {
        System.IO.Directory.CreateDirectory(Directory);
        _process = await OwnedProcess.StartAsync(
            _options.Etcd ?? EtcdBinary.Etcd,
            [
                "--name", Name,
                "--data-dir", Path.Combine(Directory, "data"),
                "--listen-client-urls", Endpoint,
                "--advertise-client-urls", Endpoint,
                "--listen-peer-urls", PeerUrl,
                "--initial-advertise-peer-urls", PeerUrl,
                "--initial-cluster", initialCluster,
                "--initial-cluster-token", _token,
                "--initial-cluster-state", "new",
                "--log-level", "info",
                "--logger", "zap",
                .. _options.FastElections ? EtcdProcessOptions.FastElectionArguments : [],
                .. _options.ExtraArguments,
            ],
            Directory,

            // etcd 3.4 wants to be told that running on ARM is meant.
            new Dictionary<string, string> { ["ETCD_UNSUPPORTED_ARCH"] = "arm64" });
    }

    /// <summary>
    /// Waits until the process itself says that it serves clients, so that no other etcd which happens to listen can be mistaken for it.
    /// </summary>
    /// <returns>Whether it does; <see langword="false"/> when a port was taken.</returns>
    internal async Task<bool> WaitUntilServingAsync()
    {
        var process = _process!;
        try
        {
            await process.WaitForOutputAsync(IsServing, StartLimit);
            return true;
        }
        catch (InvalidOperationException) when (process.FoundPortTaken)
        {
            await process.DisposeAsync();
            return false;
        }
    }

    private static bool IsServing(string output) =>
        output.Contains("serving insecure client requests", StringComparison.Ordinal)
        || output.Contains("serving client traffic", StringComparison.Ordinal);
}
