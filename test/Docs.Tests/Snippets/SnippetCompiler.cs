using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Docs.Tests.Snippets;

/// <summary>Compiles a snippet as the program of an application with implicit usings.</summary>
internal static class SnippetCompiler
{
    private static readonly CSharpParseOptions Syntax = new(LanguageVersion.Latest);

    private static readonly CSharpCompilationOptions Kind = new(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable);

    private static readonly Lazy<IReadOnlyList<MetadataReference>> References = new(static () =>
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator).Select(static p => MetadataReference.CreateFromFile(p)),
    ]);

    private static readonly SyntaxTree Usings = CSharpSyntaxTree.ParseText(
        string.Concat(Surroundings.Usings.Select(static u => $"global using {u};\n")), Syntax, cancellationToken: CancellationToken.None);

    /// <summary>The errors; names that only an application can have are declared first.</summary>
    public static IReadOnlyList<string> Compile(string snippet)
    {
        var declared = new List<string>();
        while (true)
        {
            var errors = Errors(string.Join('\n', [.. Surroundings.Order(declared), "#line 1", snippet]));
            var missing = errors.Where(static e => e.Id == "CS0103").Select(Name).FirstOrDefault(n => Surroundings.Has(n) && !declared.Contains(n));
            if (missing is null)
            {
                return [.. errors.Select(static e => e.ToString())];
            }

            declared.Add(missing);
        }
    }

    private static List<Diagnostic> Errors(string program)
    {
        var trees = new[] { Usings, CSharpSyntaxTree.ParseText(program, Syntax) };
        return [.. CSharpCompilation.Create("Snippet", trees, References.Value, Kind).GetDiagnostics().Where(IsError)];
    }

    /// <summary>A snippet of types alone is no program.</summary>
    private static bool IsError(Diagnostic diagnostic) => diagnostic is { Severity: DiagnosticSeverity.Error, Id: not "CS5001" };

    private static string Name(Diagnostic error)
        => error.Location.SourceTree!.GetText().ToString(error.Location.SourceSpan);
}
