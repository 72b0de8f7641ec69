namespace Docs.Tests;

/// <summary>A block of code on a page.</summary>
/// <param name="Page">The page's path in the repository.</param>
/// <param name="Line">The block's first line there.</param>
/// <param name="Text">What stands in it.</param>
public sealed record Fence(string Page, int Line, string Text)
{
    /// <inheritdoc />
    public override string ToString() => $"{Page}:{Line}";
}
