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

    /// <summary>Builds a Go program with the libraries that Debian packages, and starts it.</summary>
    public static Task<Peer> StartGoAsync(string source) => WithGoAsync(source, static program => StartAsync(program, [], "golang-go"));

    /// <summary>Builds a Go program and runs it to its end.</summary>
    /// <returns>What it printed.</returns>
    public static Task<string> RunGoAsync(string source, params string[] arguments) => WithGoAsync(source, async program =>
    {
        await using var process = await OwnedProcess.StartAsync(program, arguments);
        await Eventually.IsTrue(() => process.HasExited, TimeSpan.FromMinutes(5));
        return process.Output;
    });

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private static async Task<T> WithGoAsync<T>(string source, Func<string, Task<T>> use)
    {
        var directory = Directory.CreateTempSubdirectory("go-peer-");
        try
        {
            var program = Path.Combine(directory.FullName, "peer");
            var settings = new Dictionary<string, string>
            {
                ["GO111MODULE"] = "off",
                ["GOPATH"] = "/usr/share/gocode",
                ["GOCACHE"] = Environment.GetEnvironmentVariable("GOCACHE") ?? Path.Combine(Path.GetTempPath(), "go-peer-cache"),
                ["CGO_ENABLED"] = "0",
            };
            await using (var build = await OwnedProcess.StartAsync("go", ["build", "-o", program, Path.Combine(Folder, source)], environment: settings))
            {
                await Eventually.IsTrue(() => build.HasExited, TimeSpan.FromMinutes(10));
                if (!File.Exists(program))
                {
                    throw new InvalidOperationException(
                        $"{source} could not be built; it needs Go and grpc-go (Debian: apt-get install golang-go golang-google-grpc-dev). {build.Output}");
                }
            }

            return await use(program);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

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
