using System.Globalization;
using System.Reflection;

namespace Discovery.FieldTests.Support;

/// <summary>A server of test/interop in another language.</summary>
internal sealed class Peer : IAsyncDisposable
{
    private static readonly string Folder = Path.Combine(
        typeof(Peer).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == "RepositoryRoot").Value!, "test", "interop");

    private readonly OwnedProcess _process;

    private Peer(OwnedProcess process) => _process = process;

    /// <summary>Host and port.</summary>
    public string Address { get; private init; } = "";

    /// <summary>What it printed.</summary>
    public string Output => _process.Output;

    public static Task<Peer> StartNodeAsync(string script, params string[] arguments)
        => StartAsync("node", [Path.Combine(Folder, script), .. arguments], "nodejs");

    /// <summary>Builds a Go program and starts it.</summary>
    public static async Task<Peer> StartGoAsync(string source)
        => await StartAsync(await GoProgram.BuildAsync(Path.Combine(Folder, source)), [], "golang-go");

    /// <summary>Builds a Go program and runs it to its end.</summary>
    /// <returns>What it printed.</returns>
    public static async Task<string> RunGoAsync(string source, params string[] arguments)
    {
        await using var process = await OwnedProcess.StartAsync(await GoProgram.BuildAsync(Path.Combine(Folder, source)), arguments);
        await process.WaitForExitAsync(TimeSpan.FromMinutes(5));
        return process.Output;
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private static async Task<Peer> StartAsync(string command, string[] arguments, string package)
    {
        var process = await OwnedProcess.StartAsync(command, arguments);
        string? line = null;
        await Eventually.IsTrue(() => process.HasExited || (line = Find(process.Output)) is not null);
        if (line is null)
        {
            throw new InvalidOperationException($"'{command}' ended at once (Debian: apt-get install {package}). {process.Output}");
        }

        var port = int.Parse(line["listening ".Length..], CultureInfo.InvariantCulture);
        return new Peer(process) { Address = string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}") };
    }

    private static string? Find(string output)
        => output.Split('\n').SkipLast(1).FirstOrDefault(static l => l.StartsWith("listening ", StringComparison.Ordinal));
}
