using System.Text.RegularExpressions;

namespace Docs.Tests;

/// <summary>Links between pages lead somewhere.</summary>
public sealed partial class LinkTests
{
    public static TheoryData<string> Pages => [.. Repository.Pages.Select(Repository.Shown)];

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_link_of_a_page_resolves(string page)
    {
        var path = Path.Combine(Repository.Root, page);
        var broken = Links(path).Where(link => !Resolves(path, link));

        Assert.Equal([], broken);
    }

    [Fact]
    public void The_index_names_every_page()
    {
        var docs = Path.Combine(Repository.Root, "docs");
        var linked = Links(Path.Combine(docs, "README.md")).Select(static l => l.Split('#')[0]).ToHashSet(StringComparer.Ordinal);
        var pages = Directory.EnumerateFiles(docs, "*.md").Select(static f => Path.GetFileName(f)).Where(static f => f != "README.md");

        Assert.Equal([], pages.Where(p => !linked.Contains(p)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_readme_is_short() => Assert.InRange(File.ReadLines(Path.Combine(Repository.Root, "README.md")).Count(), 40, 150);

    private static IEnumerable<string> Links(string path)
        => Link().Matches(Prose(path)).Select(static m => m.Groups["target"].Value).Concat(Source().Matches(Prose(path)).Select(static m => m.Groups["target"].Value));

    private static bool Resolves(string page, string link)
    {
        if (link.Contains("://", StringComparison.Ordinal) || link.StartsWith("mailto:", StringComparison.Ordinal))
        {
            return true;
        }

        var parts = link.Split('#');
        var target = parts[0].Length == 0 ? page : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(page)!, Uri.UnescapeDataString(parts[0])));
        return (File.Exists(target) || Directory.Exists(target)) && (parts.Length == 1 || Anchors(target).Contains(parts[1]));
    }

    /// <summary>The anchors that GitHub makes of the headings.</summary>
    private static HashSet<string> Anchors(string page)
        => [.. Heading().Matches(Prose(page)).Select(static m => NotInAnchors().Replace(m.Groups["text"].Value.Trim().ToLowerInvariant(), "").Replace(' ', '-'))];

    /// <summary>The text without blocks of code.</summary>
    private static string Prose(string path) => Code().Replace(File.ReadAllText(path).ReplaceLineEndings("\n"), "");

    [GeneratedRegex(@"\]\((?<target>[^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex("(?:src|srcset|href)=\"(?<target>[^\"\\s]+)\"")]
    private static partial Regex Source();

    [GeneratedRegex("^#{1,6} (?<text>.+)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex NotInAnchors();

    [GeneratedRegex("^```.*?^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Code();
}
