using System.Reflection;

namespace Docs.Tests;

/// <summary>The repository's files, from where they lie.</summary>
internal static class Repository
{
    public static string Root { get; } = typeof(Repository).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(static a => a.Key == "RepositoryRoot").Value!;

    /// <summary>All pages: the README, the documentation, the packages' READMEs and what tells how to help.</summary>
    public static IEnumerable<string> Pages =>
        Directory.EnumerateFiles(Path.Combine(Root, "docs"), "*.md", SearchOption.AllDirectories)
            .Concat(Directory.EnumerateDirectories(Path.Combine(Root, "src")).Select(static p => Path.Combine(p, "README.md")).Where(File.Exists))
            .Concat(Directory.EnumerateFiles(Path.Combine(Root, ".github"), "*.md"))
            .Append(Path.Combine(Root, "README.md"))
            .Order(StringComparer.Ordinal);

    /// <summary>A path as people write it.</summary>
    public static string Shown(string path) => Path.GetRelativePath(Root, path).Replace('\\', '/');

    /// <summary>The fenced blocks of one language.</summary>
    public static IEnumerable<Fence> Fences(string page, string language)
    {
        List<string>? block = null;
        var (start, number) = (0, 0);
        foreach (var line in File.ReadLines(page))
        {
            number++;
            if (!line.StartsWith("```", StringComparison.Ordinal))
            {
                block?.Add(line);
            }
            else if (block is not null)
            {
                yield return new Fence(Shown(page), start, string.Join('\n', block));
                block = null;
            }
            else if (line == "```" + language)
            {
                (block, start) = ([], number + 1);
            }
        }
    }
}
