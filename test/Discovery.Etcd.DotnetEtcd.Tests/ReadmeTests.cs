using System.Reflection;

namespace Discovery.Etcd.DotnetEtcd.Tests;

/// <summary>What the README of the package shows of the lock is code of the example, which is compiled.</summary>
public sealed class ReadmeTests
{
    private static readonly string Root = typeof(ReadmeTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == "RepositoryRoot").Value!;

    [Fact]
    public async Task The_code_of_the_lock_is_that_of_the_example()
    {
        var readme = await File.ReadAllTextAsync(Path.Combine(Root, "src/Discovery.Etcd.DotnetEtcd/README.md"));
        var worker = LinesOf(await File.ReadAllTextAsync(Path.Combine(Root, "examples/SharedLock/Worker.cs")));
        var section = readme.Split("\n## ").Single(s => s.StartsWith("A lock", StringComparison.Ordinal));
        var blocks = section.Split("```").Where(b => b.StartsWith("csharp\n", StringComparison.Ordinal)).Select(b => LinesOf(b["csharp\n".Length..])).ToList();

        Assert.Equal(2, blocks.Count);
        Assert.All(blocks, block => Assert.Contains(string.Join('\n', block), string.Join('\n', worker), StringComparison.Ordinal));
    }

    private static List<string> LinesOf(string text) => [.. text.Split('\n').Select(l => l.Trim()).Where(l => l.Length > 0)];
}
