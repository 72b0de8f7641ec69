using System.Collections.Concurrent;

namespace Discovery.TestKit;

/// <summary>Programs in Go, built once by each test process with the libraries that Debian packages.</summary>
public static class GoProgram
{
    private static readonly ConcurrentDictionary<string, Lazy<Task<string>>> Programs = new(StringComparer.Ordinal);
    private static readonly Lazy<DirectoryInfo> Directory = new(CreateDirectory);

    /// <summary>Builds a program.</summary>
    /// <param name="source">The path of its file, or of the folder of its files.</param>
    /// <returns>The path of the program.</returns>
    /// <exception cref="InvalidOperationException">It could not be built; says what is needed, and what Go said.</exception>
    public static Task<string> BuildAsync(string source)
        => Programs.GetOrAdd(source, static s => new Lazy<Task<string>>(() => CompileAsync(s))).Value;

    private static async Task<string> CompileAsync(string source)
    {
        var program = Path.Combine(Directory.Value.FullName, Path.GetFileNameWithoutExtension(source));

        // Files, because without modules Go builds no folder by its absolute path.
        var files = System.IO.Directory.Exists(source) ? System.IO.Directory.GetFiles(source, "*.go") : [source];
        var settings = new Dictionary<string, string>
        {
            ["GO111MODULE"] = "off",
            ["GOPATH"] = "/usr/share/gocode",
            ["GOCACHE"] = Environment.GetEnvironmentVariable("GOCACHE") ?? Path.Combine(Path.GetTempPath(), "go-peer-cache"),
            ["CGO_ENABLED"] = "0",
        };
        await using var build = await OwnedProcess.StartAsync("go", ["build", "-o", program, .. files], environment: settings);
        await Eventually.IsTrue(() => build.HasExited, TimeSpan.FromMinutes(10));
        return File.Exists(program)
            ? program
            : throw new InvalidOperationException(
                $"{source} could not be built; it needs Go and libraries (Debian: apt-get install golang-go golang-google-grpc-dev "
                + $"golang-etcd-server-dev). {build.Output}");
    }

    private static DirectoryInfo CreateDirectory()
    {
        var directory = System.IO.Directory.CreateTempSubdirectory("go-programs-");
        AppDomain.CurrentDomain.ProcessExit += (_, _) => directory.Delete(recursive: true);
        return directory;
    }
}
