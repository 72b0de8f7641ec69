namespace Docs.Tests.Snippets;

/// <summary>
/// What the pages show as C# compiles. A snippet may use what stands around it in an application, see <see cref="Surroundings"/>.
/// docs/testing.md is not read here: test/Examples.Tests runs its code.
/// </summary>
public sealed class SnippetTests
{
    public static TheoryData<Fence> Snippets =>
    [
        .. Repository.Pages.Where(static p => Repository.Shown(p) != "docs/testing.md").SelectMany(static page => Repository.Fences(page, "csharp")),
    ];

    [Theory]
    [MemberData(nameof(Snippets))]
    public void A_snippet_compiles(Fence snippet) => Assert.Equal([], SnippetCompiler.Compile(snippet.Text));

    [Theory]
    [InlineData("builder.Services.AddEtcdRegistrations();")]
    [InlineData("builder.Services.AddEtcdGrpcClient<Greeter.GreeterClient>(\"greeter\", o => o.Polcy = \"Random\");")]
    public void A_mistake_is_found(string snippet) => Assert.NotEmpty(SnippetCompiler.Compile(snippet));
}
