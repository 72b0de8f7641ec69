using System.Collections;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Clusters;

/// <summary>Begins each message with the cluster's name, and adds it to the properties of structured logs.</summary>
internal sealed class ClusterLogger(ILogger logger, string cluster) : ILogger
{
    private const string Prefix = "Cluster {Cluster}: ";

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
        => logger.BeginScope(state);

    public bool IsEnabled(LogLevel logLevel) => logger.IsEnabled(logLevel);

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (logger.IsEnabled(logLevel))
        {
            var entry = new Entry(cluster, $"Cluster {cluster}: {formatter(state, exception)}", state);
            logger.Log(logLevel, eventId, entry, exception, static (e, _) => e.ToString());
        }
    }

    private sealed class Entry : IReadOnlyList<KeyValuePair<string, object?>>
    {
        private readonly List<KeyValuePair<string, object?>> _properties;
        private readonly string _message;

        public Entry(string cluster, string message, object? state)
        {
            _message = message;
            _properties = [new("Cluster", cluster)];
            foreach (var (name, value) in state as IEnumerable<KeyValuePair<string, object?>> ?? [])
            {
                _properties.Add(new(name, name == "{OriginalFormat}" ? Prefix + value : value));
            }
        }

        public int Count => _properties.Count;

        public KeyValuePair<string, object?> this[int index] => _properties[index];

        public IEnumerator<KeyValuePair<string, object?>> GetEnumerator() => _properties.GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

        public override string ToString() => _message;
    }
}
