using System.Diagnostics;

namespace Discovery.EmbeddedEtcd.Tests.Foreign;

/// <summary>Runs a program to its end.</summary>
internal static class Tool
{
    /// <returns>Whether it succeeded, and all that it wrote.</returns>
    public static async Task<(bool Succeeded, string Output)> RunAsync(
        string program, IEnumerable<string> arguments, string input = "", string? directory = null, IReadOnlyDictionary<string, string>? environment = null, TimeSpan? limit = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            WorkingDirectory = directory ?? "",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // etcdctl warns of variables that start like its own and that it does not know.
        start.Environment.Remove("ETCDCTL_BIN");
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        using var ending = new CancellationTokenSource(limit ?? TimeSpan.FromSeconds(60));
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(ending.Token);
            var errors = process.StandardError.ReadToEndAsync(ending.Token);
            await process.StandardInput.WriteAsync(input);
            process.StandardInput.Close();
            await process.WaitForExitAsync(ending.Token);
            return (process.ExitCode == 0, await output + await errors);
        }
        catch (OperationCanceledException e)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} did not end.", e);
        }
    }
}
