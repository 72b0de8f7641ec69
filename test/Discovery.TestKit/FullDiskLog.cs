using Microsoft.Extensions.Logging;

namespace Discovery.TestKit;

/// <summary>Throws at each line, as a provider may that writes to a full disk.</summary>
/// <param name="least">The level from which on lines are written at all.</param>
public sealed class FullDiskLog(LogLevel least = LogLevel.Trace) : ILoggerProvider, ILogger
{
    private int _lost;

    /// <summary>How many lines could not be written.</summary>
    public int Lost => Volatile.Read(ref _lost);

    /// <inheritdoc />
    public ILogger CreateLogger(string categoryName) => this;

    /// <inheritdoc />
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
        => null;

    /// <inheritdoc />
    public bool IsEnabled(LogLevel logLevel) => logLevel >= least;

    /// <inheritdoc />
    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (logLevel >= least)
        {
            Interlocked.Increment(ref _lost);
            throw new IOException("There is not enough space on the disk.");
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        // Nothing to free.
    }
}
