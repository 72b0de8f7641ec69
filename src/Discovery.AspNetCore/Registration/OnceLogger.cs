using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Registration;

/// <summary>Says each thing once: what is looked at every few seconds has the same to say each time.</summary>
internal sealed class OnceLogger(ILogger logger) : ILogger
{
    private readonly HashSet<string> _said = new(StringComparer.Ordinal);

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
        => logger.BeginScope(state);

    public bool IsEnabled(LogLevel logLevel) => logger.IsEnabled(logLevel);

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (_said.Add(formatter(state, exception)))
        {
            logger.Log(logLevel, eventId, state, exception, formatter);
        }
    }
}
