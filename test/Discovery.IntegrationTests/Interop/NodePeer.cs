using System.Collections.Concurrent;
using System.Diagnostics;
using System.Reflection;

namespace Discovery.IntegrationTests.Interop;

/// <summary>A process of test/interop/node. It ends when its standard input closes, so that none outlives the tests, not even after a crash.</summary>
public sealed class NodePeer : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    // Longer than the peer's own limit, which says more.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(40);

    private static readonly string Root = typeof(NodePeer).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(attribute => attribute.Key == "RepositoryRoot").Value!;

    private static readonly string Folder = Path.Combine(Root, "test", "interop", "node");
    private static readonly string Proto = Path.Combine(Root, "test", "interop", "interop.proto");
    private static readonly Lazy<Task> Installed = new(RunNpmAsync);

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _lines = new();

    private NodePeer(Process process)
    {
        _process = process;
        process.OutputDataReceived += (_, line) => Add(line.Data);
        process.ErrorDataReceived += (_, line) => Add(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    /// <summary>What the process has printed so far.</summary>
    public IReadOnlyCollection<string> Lines => _lines;

    /// <summary>Installs the packages that the scripts need, once.</summary>
    public static Task InstallAsync() => Installed.Value;

    /// <summary>Starts a script of the folder.</summary>
    /// <exception cref="InvalidOperationException">Node.js is missing.</exception>
    public static async Task<NodePeer> StartAsync(string script, params string[] arguments)
    {
        await Installed.Value;
        return new NodePeer(Start("node", [script, Proto, .. arguments]));
    }

    /// <summary>Waits until the process has printed a line that starts like this.</summary>
    /// <returns>What follows on that line.</returns>
    /// <exception cref="InvalidOperationException">The process ended before; has what it printed.</exception>
    public async Task<string> WaitForLineAsync(string start)
    {
        bool IsPrinted(out string? line) => (line = _lines.FirstOrDefault(l => l.StartsWith(start, StringComparison.Ordinal))) is not null;
        string? line = null;
        await Eventually.IsTrue(() => IsPrinted(out line) || _process.HasExited, what: $"Node.js prints '{start}'");
        if (line is null)
        {
            // A script that prints and ends may have ended before what it printed was read, which this waits for too.
            await WaitForExitAsync();
            IsPrinted(out line);
        }

        return line?[start.Length..] ?? throw new InvalidOperationException($"Node.js ended before it printed '{start}':\n{string.Join('\n', Lines)}");
    }

    /// <summary>Waits for the process to end by itself.</summary>
    /// <returns>Its exit code.</returns>
    /// <exception cref="TimeoutException">It did not end; has what it printed.</exception>
    public Task<int> WaitForExitAsync() => WaitForExitAsync(Limit);

    public async ValueTask DisposeAsync()
    {
        await StopAsync(_process);
        _process.Dispose();
    }

    private static async Task RunNpmAsync()
    {
        if (Directory.Exists(Path.Combine(Folder, "node_modules", "@grpc", "grpc-js")) && Directory.Exists(Path.Combine(Folder, "node_modules", "etcd3")))
        {
            return;
        }

        await using var npm = new NodePeer(Start("npm", ["ci", "--no-audit", "--no-fund"]));
        var exitCode = await npm.WaitForExitAsync(TimeSpan.FromMinutes(5));
        if (exitCode != 0)
        {
            throw new InvalidOperationException($"'npm ci' in {Folder} ended with {exitCode}:\n{string.Join('\n', npm.Lines)}");
        }
    }

    private static Process Start(string program, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(Find(program), arguments)
        {
            UseShellExecute = false,
            WorkingDirectory = Folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        return Process.Start(start)!;
    }

    private static string Find(string program)
        => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .SelectMany(folder => (string[])[Path.Combine(folder, program), Path.Combine(folder, $"{program}.exe"), Path.Combine(folder, $"{program}.cmd")])
            .FirstOrDefault(File.Exists)
        ?? throw new InvalidOperationException(
            $"'{program}' is not on PATH: the interop tests need Node.js 20 or later with npm (Debian: apt-get install nodejs npm; or https://nodejs.org).");

    private static async Task StopAsync(Process process)
    {
        if (process.HasExited)
        {
            return;
        }

        process.StandardInput.Close();
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
        }
    }

    private async Task<int> WaitForExitAsync(TimeSpan limit)
    {
        using var ending = new CancellationTokenSource(limit);
        try
        {
            await _process.WaitForExitAsync(ending.Token);
            return _process.ExitCode;
        }
        catch (OperationCanceledException e)
        {
            throw new TimeoutException($"{_process.StartInfo.FileName} did not end within {limit}:\n{string.Join('\n', Lines)}", e);
        }
    }

    private void Add(string? line)
    {
        if (line is not null)
        {
            _lines.Enqueue(line);
        }
    }
}
