using System.Diagnostics;

namespace Discovery.TestKit;

/// <summary>Runs etcdctl: somebody else's hand in the cluster.</summary>
public static class Etcdctl
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    /// <summary>Runs one command and waits for its end.</summary>
    /// <param name="endpoint">The member to talk to.</param>
    /// <param name="arguments">The command, e.g. <c>["del", "key"]</c>, with any flags.</param>
    /// <returns>What it printed.</returns>
    /// <exception cref="InvalidOperationException">It failed.</exception>
    /// <exception cref="TimeoutException">It did not end within 30 seconds.</exception>
    public static async Task<string> RunAsync(string endpoint, params string[] arguments)
    {
        var start = new ProcessStartInfo(EtcdBinary.Etcdctl)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["ETCDCTL_API"] = "3" },
        };
        foreach (var argument in (string[])["--endpoints", endpoint, .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        // etcdctl warns of variables that start like its own and that it does not know.
        start.Environment.Remove("ETCDCTL_BIN");
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        try
        {
            await process.WaitForExitAsync().WaitAsync(Limit);
        }
        catch (TimeoutException e)
        {
            process.Kill();
            throw new TimeoutException($"etcdctl {string.Join(' ', arguments)} did not end within {Limit}: {await output}{await errors}", e);
        }

        return process.ExitCode == 0
            ? await output
            : throw new InvalidOperationException($"etcdctl {string.Join(' ', arguments)} failed: {await output}{await errors}");
    }
}
