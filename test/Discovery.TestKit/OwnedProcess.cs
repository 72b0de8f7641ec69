using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Discovery.TestKit;

/// <summary>
/// A process that never outlives the test that started it, even when that one crashes: a shell between the two reads from a pipe that
/// only the test's process holds open, and kills the process at its end.
/// </summary>
public sealed class OwnedProcess : IAsyncDisposable
{
    // $1: a directory to remove at the end, or nothing. The rest: the command.
    private const string Script = """
        directory=$1; shift
        exec 3<&0
        "$@" </dev/null &
        child=$!
        echo "owned-pid $child"
        (
          cat <&3 >/dev/null
          trap '' TERM
          kill -9 $child
          if [ -n "$directory" ]; then sleep 0.2; rm -rf "$directory"; fi
        ) >/dev/null 2>&1 &
        guard=$!
        exec 3<&-
        wait $child
        code=$?
        kill $guard 2>/dev/null
        exit $code
        """;

    // Longer than anything that works takes, on a busy machine too.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly Process _shell;
    private readonly string _command;
    private readonly StringBuilder _output = new();
    private readonly TaskCompletionSource<int> _pid = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _reading;
    private bool _disposed;

    private OwnedProcess(Process shell, string command)
    {
        _shell = shell;
        _command = command;
        _reading = ReadAsync(shell);
    }

    /// <summary>The process id.</summary>
    public int Id => _pid.Task.Result;

    /// <summary>Whether it ended.</summary>
    public bool HasExited => _disposed || _shell.HasExited;

    /// <summary>The code with which it ended.</summary>
    public int ExitCode => _shell.ExitCode;

    /// <summary>What it wrote so far.</summary>
    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    /// <summary>Whether it ended because another process had the port that it was to listen on.</summary>
    public bool FoundPortTaken => HasExited && Output.Contains("address already in use", StringComparison.Ordinal);

    /// <summary>Starts a process.</summary>
    /// <param name="command">The path of the program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="directory">A directory that is removed if the test's process crashes.</param>
    /// <param name="environment">Environment variables to be added.</param>
    public static async Task<OwnedProcess> StartAsync(
        string command, IEnumerable<string> arguments, string? directory = null, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo("/bin/sh")
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var argument in (string[])["-c", Script, "sh", directory ?? "", command, .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        var process = new OwnedProcess(Process.Start(start)!, command);
        await process._pid.Task.WaitAsync(Limit);
        return process;
    }

    /// <summary>Waits until it has written something, e.g. that it listens.</summary>
    /// <param name="isMet">What its whole output has to fulfil.</param>
    /// <param name="limit">30 seconds by default.</param>
    /// <exception cref="InvalidOperationException">It ended before; has its output.</exception>
    /// <exception cref="TimeoutException">It did not write it within the limit; has its output.</exception>
    public async Task WaitForOutputAsync(Predicate<string> isMet, TimeSpan? limit = null)
    {
        try
        {
            await Eventually.IsTrue(() => HasExited || isMet(Output), limit ?? Limit);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{_command} runs, and did not write what was waited for within {limit ?? Limit}:\n{Output}", e);
        }

        if (HasExited)
        {
            await _reading.WaitAsync(Limit);
            ThrowIfExited();
        }
    }

    /// <summary>Waits until it has ended by itself and all that it wrote was read.</summary>
    /// <exception cref="TimeoutException">It did not end within the limit; has its output.</exception>
    public async Task WaitForExitAsync(TimeSpan limit)
    {
        try
        {
            await _shell.WaitForExitAsync().WaitAsync(limit);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{_command} did not end within {limit}:\n{Output}", e);
        }

        await _reading.WaitAsync(Limit);
    }

    /// <summary>For waits for something that the process brings about: they fail at once, and say why, when it ended.</summary>
    /// <exception cref="InvalidOperationException">It ended; has its output.</exception>
    public void ThrowIfExited()
    {
        if (HasExited)
        {
            throw new InvalidOperationException($"{_command} ended:\n{Output}");
        }
    }

    /// <summary>Stops it in its tracks; it keeps its connections and answers nothing.</summary>
    public async Task PauseAsync()
    {
        await SignalAsync("STOP");

        // On a busy machine it may answer for a while before one of its threads gets the time to take the signal.
        await Eventually.IsTrue(() => StateOfThreads().All(static state => state == 'T'));
    }

    /// <summary>Lets it go on.</summary>
    public Task ResumeAsync() => SignalAsync("CONT");

    /// <summary>Ends it without a goodbye.</summary>
    public async Task KillAsync()
    {
        if (!_shell.HasExited)
        {
            await SignalAsync("KILL");
            await _shell.WaitForExitAsync().WaitAsync(Limit);
        }

        await _reading.WaitAsync(Limit);
    }

    /// <summary>Asks it to end, and waits.</summary>
    /// <exception cref="TimeoutException">It did not end within 30 seconds; has its output.</exception>
    public async Task TerminateAsync()
    {
        await SignalAsync("TERM");
        try
        {
            await _shell.WaitForExitAsync().WaitAsync(Limit);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{_command} did not end within {Limit} after SIGTERM:\n{Output}", e);
        }

        await _reading.WaitAsync(Limit);
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        if (!_disposed)
        {
            await KillAsync();
            _disposed = true;
            _shell.Dispose();
        }
    }

    private IEnumerable<char> StateOfThreads()
    {
        var threads = new DirectoryInfo(string.Create(CultureInfo.InvariantCulture, $"/proc/{Id}/task"));
        return threads.Exists ? threads.GetDirectories().Select(StateOf) : [];
    }

    private static char StateOf(DirectoryInfo thread)
    {
        try
        {
            // "id (name) state …", where the name may be anything.
            var stat = File.ReadAllText(Path.Combine(thread.FullName, "stat"));
            return stat[stat.LastIndexOf(')') + 2];
        }
        catch (IOException)
        {
            // It ended meanwhile, so the process was running.
            return 'X';
        }
    }

    private async Task SignalAsync(string signal)
    {
        // The shell's own kill: the program of that name is not everywhere.
        using var kill = Process.Start("/bin/sh", ["-c", string.Create(CultureInfo.InvariantCulture, $"kill -{signal} {Id}")]);
        await kill.WaitForExitAsync();
    }

    private async Task ReadAsync(Process shell)
    {
        await Task.WhenAll(ReadAsync(shell.StandardOutput), ReadAsync(shell.StandardError));
        _pid.TrySetException(new InvalidOperationException("The process could not be started: " + Output));
    }

    private async Task ReadAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            if (line.StartsWith("owned-pid ", StringComparison.Ordinal))
            {
                _pid.TrySetResult(int.Parse(line.AsSpan(10), CultureInfo.InvariantCulture));
                continue;
            }

            lock (_output)
            {
                _output.AppendLine(line);
            }
        }
    }
}
