using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Discovery.TestKit;

/// <summary>Keeps what was logged, so that a test can look for it.</summary>
public sealed class LogRecorder : ILoggerProvider, ILogger
{
    private readonly ConcurrentQueue<string> _lines = new();

    /// <summary>What was logged, each as "Level: message".</summary>
    public IReadOnlyCollection<string> Lines => _lines;

    /// <summary>The messages of a level, in order.</summary>
    public IReadOnlyList<string> At(LogLevel level)
        => [.. _lines.Where(l => l.StartsWith($"{level}: ", StringComparison.Ordinal)).Select(l => l[(l.IndexOf(' ', StringComparison.Ordinal) + 1)..])];

    /// <summary>Whether a line of this level has all the fragments.</summary>
    public bool Has(LogLevel level, params string[] fragments)
        => _lines.Any(line => line.StartsWith($"{level}: ", StringComparison.Ordinal)
            && Array.TrueForAll(fragments, fragment => line.Contains(fragment, StringComparison.Ordinal)));

    /// <inheritdoc />
    public ILogger CreateLogger(string categoryName) => this;

    /// <inheritdoc />
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
        => null;

    /// <inheritdoc />
    public bool IsEnabled(LogLevel logLevel) => true;

    /// <inheritdoc />
    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        => _lines.Enqueue($"{logLevel}: {formatter(state, exception)}");

    /// <inheritdoc />
    public void Dispose()
    {
        // Nothing to free: what was logged stays readable.
    }
}
