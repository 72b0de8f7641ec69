using System.Reflection;

namespace Examples.Tests;

/// <summary>docs/testing.md shows nothing but code of this project.</summary>
public sealed class PageTests
{
    private static readonly string Root = typeof(PageTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(static a => a.Key == "RepositoryRoot").Value!;

    [Fact]
    public void Each_line_of_code_on_the_page_is_compiled_here()
    {
        // Only this project has two applications, each with a Program.
        var compiled = Directory.EnumerateFiles(Path.Combine(Root, "test", "Examples.Tests"), "*.cs")
            .SelectMany(File.ReadLines)
            .Select(static line => line.Trim().Replace("Server::", "", StringComparison.Ordinal).Replace("Observed::", "", StringComparison.Ordinal))
            .ToHashSet(StringComparer.Ordinal);
        var shown = CodeOf(Path.Combine(Root, "docs", "testing.md")).ToList();

        Assert.NotEmpty(shown);
        Assert.Equal([], shown.Where(line => !compiled.Contains(line)));
    }

    private static IEnumerable<string> CodeOf(string page)
    {
        var isCode = false;
        foreach (var line in File.ReadLines(page).Select(static l => l.Trim()))
        {
            if (line.StartsWith("```", StringComparison.Ordinal))
            {
                isCode = line == "```csharp";
            }
            else if (isCode && line.Length > 0)
            {
                yield return line;
            }
        }
    }
}
