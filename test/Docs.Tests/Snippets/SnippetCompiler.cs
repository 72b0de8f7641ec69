using System.Reflection;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Docs.Tests.Snippets;

/// <summary>Compiles a snippet as the program of an application with implicit usings.</summary>
internal static class SnippetCompiler
{
    private static readonly CSharpParseOptions Syntax = new(LanguageVersion.Latest);

    // Shared, so that the references are read once.
    private static readonly Lazy<CSharpCompilation> Program = new(static () => CSharpCompilation.Create(
        "Snippet",
        [Parse(Usings(Surroundings.Usings))],
        ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator).Select(static p => MetadataReference.CreateFromFile(p)),
        new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable)));

    private static readonly Lazy<CSharpCompilation> PartOfProgram = new(static () =>
        Program.Value.AddSyntaxTrees(Parse(Usings(Surroundings.UsingsOfParts))));

    private static readonly Lazy<CSharpCompilation> AppHost = new(static () =>
        Program.Value.AddSyntaxTrees(Parse(Usings(Surroundings.UsingsOfAppHosts))));

    /// <summary>The errors; variables that only an application has are declared first.</summary>
    public static IReadOnlyList<string> Compile(string snippet) => Compile(snippet, out _);

    /// <summary>Loads a snippet as an application, to be run.</summary>
    /// <exception cref="InvalidOperationException">It does not compile.</exception>
    public static MethodInfo Load(string snippet)
    {
        if (Compile(snippet, out var application) is { Count: > 0 } errors)
        {
            throw new InvalidOperationException(string.Join('\n', errors));
        }

        using var assembly = new MemoryStream();
        var result = application.Emit(assembly);
        return result.Success ? Assembly.Load(assembly.ToArray()).EntryPoint! : throw new InvalidOperationException(string.Join('\n', result.Diagnostics));
    }

    private static List<string> Compile(string snippet, out CSharpCompilation compiled)
    {
        var lines = snippet.Split('\n').ToLookup(IsUsing);
        var application = snippet.Contains("DistributedApplication.CreateBuilder(", StringComparison.Ordinal) ? AppHost.Value
            : snippet.Contains("WebApplication.CreateBuilder(", StringComparison.Ordinal) ? Program.Value
            : PartOfProgram.Value;
        List<string> declared = [];
        while (true)
        {
            compiled = application.AddSyntaxTrees(Parse(string.Join('\n', [.. lines[true], .. declared.Select(Surroundings.Declare), "#line 1", .. lines[false]])));
            var errors = Errors(compiled);
            var missing = errors.Where(static e => e.Id == "CS0103").Select(Name).Where(Surroundings.Has).Except(declared).ToList();
            if (missing.Count == 0)
            {
                return [.. errors.Select(static e => e.ToString())];
            }

            declared.AddRange(missing);
        }
    }

    // A snippet of types alone is no program.
    private static List<Diagnostic> Errors(CSharpCompilation program)
        => [.. program.GetDiagnostics().Where(static d => d is { Severity: DiagnosticSeverity.Error, Id: not "CS5001" })];

    private static SyntaxTree Parse(string text) => CSharpSyntaxTree.ParseText(text, Syntax);

    private static string Usings(IEnumerable<string> namespaces) => string.Concat(namespaces.Select(static n => $"global using {n};\n"));

    private static bool IsUsing(string line) => line.StartsWith("using ", StringComparison.Ordinal) && !line.Contains('=', StringComparison.Ordinal);

    private static string Name(Diagnostic error) => error.Location.SourceTree!.GetText().ToString(error.Location.SourceSpan);
}
