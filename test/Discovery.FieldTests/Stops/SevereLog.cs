using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Discovery.FieldTests.Stops;

/// <summary>Keeps what was logged. What is severe is told apart by who says it: a host tells of a start that was broken off as of an error.</summary>
internal sealed class SevereLog : ILoggerProvider
{
    private readonly ConcurrentQueue<string> _severe = [];
    private readonly ConcurrentQueue<string> _lines = [];

    /// <summary>Warnings, errors and worse of the library, and errors and worse of all others but the host.</summary>
    public IReadOnlyCollection<string> Severe => _severe;

    public bool Has(string fragment) => _lines.Any(l => l.Contains(fragment, StringComparison.Ordinal));

    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, this);

    public void Dispose()
    {
        // What was logged stays readable.
    }

    private sealed class Logger(string category, SevereLog log) : ILogger
    {
        private readonly LogLevel _severe = category.StartsWith("Discovery.", StringComparison.Ordinal) ? LogLevel.Warning
            : category.StartsWith("Microsoft.Extensions.Hosting.", StringComparison.Ordinal)
                || category.StartsWith("Microsoft.Extensions.Diagnostics.HealthChecks.", StringComparison.Ordinal) ? LogLevel.None
            : LogLevel.Error;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
            => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var line = $"{logLevel} {category}: {formatter(state, exception)} {exception}";
            log._lines.Enqueue(line);
            if (logLevel >= _severe)
            {
                log._severe.Enqueue(line);
            }
        }
    }
}
