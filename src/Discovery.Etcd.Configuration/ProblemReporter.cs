using System.Globalization;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.Etcd.Configuration;

/// <summary>
/// Says what is wrong, to the log and to the application's callback, and on the standard error where the application has set neither: a document that
/// is left out must not pass in silence. Never a value.
/// </summary>
internal sealed partial class ProblemReporter(string prefix, EtcdConfigurationOptions options)
{
    private const int MaxKeyLength = 200;

    private readonly Lock _gate = new();
    private readonly ILogger _logger = new GuardedLoggerFactory(options.LoggerFactory ?? NullLoggerFactory.Instance).CreateLogger<EtcdConfigurationOptions>();

    /// <summary>A key's value cannot be used.</summary>
    public void KeyRejected(string key, string problem, bool hasEarlierValue)
    {
        var stands = hasEarlierValue ? "Its last usable value stands." : "It is left out.";
        Log.KeyRejected(_logger, Shown(key), problem, stands);
        Call($"The key '{Shown(key)}' cannot be used: {problem}. {stands}", key: key);
    }

    /// <summary>Keys were left out that no setting can be named by.</summary>
    public void KeysSkipped(int count)
    {
        Log.KeysSkipped(_logger, count, prefix);
        Call($"{count} keys under '{prefix}' are left out: their names are no UTF-8 text.");
    }

    public void Empty()
    {
        Log.Empty(_logger, prefix);
        Call($"There is no key under '{prefix}' that can be used.");
    }

    public void Unavailable(LogLevel level, string stands, Exception? cause)
    {
        var reason = cause?.Message ?? "etcd did not answer yet.";
        Log.Unavailable(_logger, level, prefix, stands, reason);
        Call($"The configuration under '{prefix}' cannot be read; {stands}. {reason}", cause);
    }

    public void Available(LogLevel level, TimeSpan outage) => Log.Available(_logger, level, prefix, outage.TotalSeconds);

    public void Loaded(int settings, long revision) => Log.Loaded(_logger, prefix, settings, revision);

    public void FileNotWritten(string path, Exception e)
    {
        Log.FileNotWritten(_logger, path, e.Message);
        Call($"The last known configuration could not be written to {path}. {e.Message}", e);
    }

    public void FileNotUsable(string path, Exception? e)
    {
        // The message of a parser may quote the file, which has secrets.
        var reason = e is IOException or UnauthorizedAccessException ? e.Message : "It is damaged, or of another format.";
        Log.FileNotUsable(_logger, path, reason);
        Call($"The last known configuration in {path} is not used. {reason}");
    }

    public void HandlerFailed(Exception e)
    {
        Log.HandlerFailed(_logger, prefix, e);
        Call($"A handler of the change of the configuration under '{prefix}' failed with {e.GetType().Name}.", e);
    }

    public void LoopFailed(Exception e)
    {
        Log.LoopFailed(_logger, prefix, e);
        Call($"Following '{prefix}' failed unexpectedly with {e.GetType().Name}; it starts again.", e);
    }

    /// <summary>A key comes from the network: cut, and without what would break the log's lines.</summary>
    private static string Shown(string key)
    {
        var cut = key.Length > MaxKeyLength ? string.Concat(key.AsSpan(0, MaxKeyLength), "…") : key;
        return string.Concat(cut.Select(static c => char.IsControl(c) ? string.Create(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}") : c.ToString()));
    }

    private void Call(string message, Exception? exception = null, string? key = null)
    {
        var onProblem = options.OnProblem ?? (options.LoggerFactory is null ? WriteError : null);
        if (onProblem is null)
        {
            return;
        }

        lock (_gate)
        {
            try
            {
                onProblem(new EtcdConfigurationProblem { Prefix = prefix, Key = key, Message = message, Exception = exception });
            }
            catch (Exception e)
            {
                Log.CallbackFailed(_logger, e);
            }
        }
    }

    private static void WriteError(EtcdConfigurationProblem problem)
        => Console.Error.WriteLine($"{typeof(EtcdConfigurationProblem).Namespace}: {problem.Message.ReplaceLineEndings(" ")}");

    private static partial class Log
    {
        [LoggerMessage(5001, LogLevel.Warning, "The key '{Key}' cannot be used as configuration: {Problem}. {Stands}")]
        public static partial void KeyRejected(ILogger logger, string key, string problem, string stands);

        [LoggerMessage(5002, LogLevel.Warning, "{Count} keys under '{Prefix}' are left out of the configuration: their names are no UTF-8 text.")]
        public static partial void KeysSkipped(ILogger logger, int count, string prefix);

        [LoggerMessage(5003, LogLevel.Warning, "There is no key under '{Prefix}' that can be used, so it gives no configuration.")]
        public static partial void Empty(ILogger logger, string prefix);

        [LoggerMessage(5004, LogLevel.Information, "The configuration under '{Prefix}' has {Settings} settings as of revision {Revision}.")]
        public static partial void Loaded(ILogger logger, string prefix, int settings, long revision);

        [LoggerMessage(EventId = 5011, Message = "The configuration under '{Prefix}' cannot be read; {Stands}. It is tried until it can. {Reason}")]
        public static partial void Unavailable(ILogger logger, LogLevel level, string prefix, string stands, string reason);

        [LoggerMessage(EventId = 5012, Message = "The configuration under '{Prefix}' can be read again, after {Seconds:0.0} s.")]
        public static partial void Available(ILogger logger, LogLevel level, string prefix, double seconds);

        [LoggerMessage(5021, LogLevel.Warning, "The last known configuration could not be written to {Path}; nothing but a start without etcd depends on it. {Reason}")]
        public static partial void FileNotWritten(ILogger logger, string path, string reason);

        [LoggerMessage(5022, LogLevel.Warning, "The last known configuration in {Path} is not used. {Reason}")]
        public static partial void FileNotUsable(ILogger logger, string path, string reason);

        [LoggerMessage(5031, LogLevel.Error, "A handler of the change of the configuration under '{Prefix}' failed. The new configuration stands.")]
        public static partial void HandlerFailed(ILogger logger, string prefix, Exception exception);

        [LoggerMessage(5032, LogLevel.Error, "Following the configuration under '{Prefix}' failed unexpectedly; it starts again.")]
        public static partial void LoopFailed(ILogger logger, string prefix, Exception exception);

        [LoggerMessage(5033, LogLevel.Error, "The callback OnProblem failed.")]
        public static partial void CallbackFailed(ILogger logger, Exception exception);
    }
}
