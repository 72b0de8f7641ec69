using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Diagnostics;

/// <summary>Logs each message once: what is checked every few seconds would log the same each time.</summary>
internal sealed class DeduplicatingLogger(ILogger logger) : ILogger
{
    private readonly HashSet<string> _logged = new(StringComparer.Ordinal);

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
        => logger.BeginScope(state);

    public bool IsEnabled(LogLevel logLevel) => logger.IsEnabled(logLevel);

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (_logged.Add(formatter(state, exception)))
        {
            logger.Log(logLevel, eventId, state, exception, formatter);
        }
    }
}
