using System.Reflection;
using Discovery.EmbeddedEtcd.Tests.Support;

namespace Discovery.EmbeddedEtcd.Tests.Foreign;

/// <summary>The npm package etcd3, the usual client of Node services.</summary>
public abstract class Etcd3Conformance(IServer server) : ConformanceTest(server)
{
    private static readonly string Folder = Path.Combine(
        typeof(Etcd3Conformance).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == "RepositoryRoot").Value!,
        "test", "interop", "etcd3-node");

    private static readonly Lazy<Task> Installed = new(InstallAsync);

    [Fact]
    public async Task A_node_service_finds_all_it_is_used_to()
    {
        await Installed.Value;

        var (succeeded, output) = await Tool.RunAsync("node", ["scenario.mjs", Endpoint], directory: Folder);

        Assert.True(succeeded, output);
        Assert.Equal(9, output.Split('\n').Count(l => l.StartsWith("ok ", StringComparison.Ordinal)));
    }

    private static async Task InstallAsync()
    {
        if (Directory.Exists(Path.Combine(Folder, "node_modules", "etcd3")))
        {
            return;
        }

        var (succeeded, output) = await Tool.RunAsync("npm", ["ci", "--no-audit", "--no-fund"], directory: Folder, limit: TimeSpan.FromMinutes(5));
        Assert.True(succeeded, $"'npm ci' in {Folder} failed:\n{output}");
    }
}

[Collection(EmbeddedTests.Name)]
[Trait(Needs.Name, Needs.Node)]
public sealed class Etcd3OnEmbedded(EmbeddedServer server) : Etcd3Conformance(server);

[Collection(RealTests.Name)]
[Trait(Needs.Name, Needs.Etcd)]
[Trait(Needs.Name, Needs.Node)]
public sealed class Etcd3OnEtcd(RealServer server) : Etcd3Conformance(server);
