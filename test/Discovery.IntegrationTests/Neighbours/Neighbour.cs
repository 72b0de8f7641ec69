using System.Reflection;
using System.Text.RegularExpressions;
using Discovery.IntegrationTests.Interop;

namespace Discovery.IntegrationTests.Neighbours;

/// <summary>
/// A process of test/interop/go/neighbour or test/interop/node/neighbour.mjs: a server that registers itself, or a client that finds it, in the
/// way of a project in Go.
/// </summary>
internal sealed partial class Neighbour : IAsyncDisposable
{
    private static readonly string Interop = Path.Combine(
        typeof(Neighbour).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == "RepositoryRoot").Value!, "test", "interop");

    private readonly OwnedProcess _process;

    private Neighbour(OwnedProcess process) => _process = process;

    public string Output => _process.Output;

    /// <summary>Host and port of a server.</summary>
    public string Address => Listening().Match(Output).Groups[1].Value;

    /// <summary>How many calls a client made so far, and how many of them failed.</summary>
    public (int Made, int Failed) Calls
        => Made().Matches(Output) is [.., var last] ? (int.Parse(last.Groups[1].ValueSpan), int.Parse(last.Groups[2].ValueSpan)) : default;

    /// <summary>How many calls each server answered; known when the client has stopped.</summary>
    public IReadOnlyDictionary<string, int> Answers
        => Answered().Matches(Output).ToDictionary(m => m.Groups[1].Value, m => int.Parse(m.Groups[2].ValueSpan), StringComparer.Ordinal);

    /// <summary>Starts a server and waits until it listens and is registered.</summary>
    /// <param name="etcd">etcd's endpoint.</param>
    /// <param name="way">Whose way it is: openim, naming, gozero, kratos or kitex.</param>
    /// <param name="service">The service's name.</param>
    /// <param name="more">More of the program's arguments.</param>
    public static async Task<Neighbour> ServeAsync(string etcd, string way, string service, params string[] more)
    {
        var server = await StartAsync("serve", etcd, way, service, more);
        await server._process.WaitForOutputAsync(static o => Listening().IsMatch(o));
        return server;
    }

    /// <summary>Starts a server in Node.js, by naming or openim, and waits until it listens and is registered.</summary>
    public static async Task<Neighbour> ServeInNodeAsync(string etcd, string way, string service)
    {
        var server = await StartInNodeAsync("serve", etcd, way, service);
        await server._process.WaitForOutputAsync(static o => Listening().IsMatch(o));
        return server;
    }

    /// <summary>Starts the program in Node.js as something.</summary>
    public static async Task<Neighbour> StartInNodeAsync(string role, string etcd, string way, string service)
    {
        await NodePeer.InstallAsync();
        return new(await OwnedProcess.StartAsync(
            "node", [Path.Combine(Interop, "node", "neighbour.mjs"), Path.Combine(Interop, "interop.proto"), role, new Uri(etcd).Authority, way, service]));
    }

    /// <summary>Starts the program in Go as something.</summary>
    public static async Task<Neighbour> StartAsync(string role, string etcd, string way, string service, params string[] more)
        => new(await OwnedProcess.StartAsync(
            await GoProgram.BuildAsync(Path.Combine(Interop, "go", "neighbour")),
            [role, "-etcd", new Uri(etcd).Authority, "-way", way, "-service", service, .. more]));

    public Task MadeAsync(int more)
    {
        var goal = Calls.Made + more;
        return _process.WaitForOutputAsync(_ => Calls.Made >= goal);
    }

    /// <summary>Stops it gracefully.</summary>
    public Task StopAsync() => _process.TerminateAsync();

    /// <summary>Waits until it has ended by itself, as one does that only makes some calls.</summary>
    public async Task SucceedsAsync(TimeSpan? limit = null)
    {
        await _process.WaitForExitAsync(limit ?? TimeSpan.FromSeconds(60));
        Assert.True(_process.ExitCode == 0, Output);
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    [GeneratedRegex(@"^listening (?<address>\S+)$", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Listening();

    [GeneratedRegex(@"^made (?<made>\d+) failed (?<failed>\d+)$", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Made();

    [GeneratedRegex(@"^answered (?<address>\S+) (?<number>\d+)$", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Answered();
}
