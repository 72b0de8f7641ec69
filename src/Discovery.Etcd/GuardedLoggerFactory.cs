using Microsoft.Extensions.Logging;

namespace Discovery.Etcd;

/// <summary>
/// Makes loggers that never throw. What a provider throws, such as one that writes to a full disk, comes out where something is logged, and must
/// end no loop, no lease and no call: that a line is lost is the lesser harm. The loggers behind it belong to the application.
/// </summary>
internal sealed class GuardedLoggerFactory(ILoggerFactory loggers) : ILoggerFactory
{
    public ILogger CreateLogger(string categoryName) => new GuardedLogger(loggers.CreateLogger(categoryName));

    public void AddProvider(ILoggerProvider provider) => loggers.AddProvider(provider);

    public void Dispose()
    {
        // The application's factory outlives this one.
    }

    private sealed class GuardedLogger(ILogger logger) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
        {
            try
            {
                return logger.BeginScope(state);
            }
            catch (Exception)
            {
                return null;
            }
        }

        public bool IsEnabled(LogLevel logLevel)
        {
            try
            {
                return logger.IsEnabled(logLevel);
            }
            catch (Exception)
            {
                return false;
            }
        }

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            try
            {
                logger.Log(logLevel, eventId, state, exception, formatter);
            }
            catch (Exception)
            {
                // There is nowhere left to say so.
            }
        }
    }
}
