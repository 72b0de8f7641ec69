using System.Text.RegularExpressions;

namespace Docs.Tests;

/// <summary>docs/reliability.md names tests that exist.</summary>
public sealed partial class ReliabilityTests
{
    [Fact]
    public void Every_test_that_the_page_names_exists()
    {
        var named = Name().Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs", "reliability.md"))).Select(static m => m.Groups).ToList();
        var files = Directory.EnumerateFiles(Path.Combine(Repository.Root, "test"), "*Tests.cs", SearchOption.AllDirectories)
            .GroupBy(static f => Path.GetFileNameWithoutExtension(f), StringComparer.Ordinal)
            .ToDictionary(static g => g.Key, static g => string.Concat(g.Select(File.ReadAllText)), StringComparer.Ordinal);

        Assert.True(named.Count > 20);
        Assert.Equal([], named.Where(n => !Exists(files, n["class"].Value, n["test"].Value)).Select(static n => n[0].Value));
    }

    private static bool Exists(Dictionary<string, string> files, string type, string test)
        => files.TryGetValue(type, out var text) && text.Contains($" {test}(", StringComparison.Ordinal);

    [GeneratedRegex(@"`(?<class>\w+Tests)\.(?<test>\w+)`")]
    private static partial Regex Name();
}
