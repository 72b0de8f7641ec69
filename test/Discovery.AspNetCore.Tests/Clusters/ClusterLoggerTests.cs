using Discovery.AspNetCore.Clusters;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Clusters;

public sealed class ClusterLoggerTests
{

    [Fact]
    public void A_message_begins_with_the_cluster_and_keeps_its_id_and_properties()
    {
        var recorder = new Recorder();

        new ClusterLogger(recorder, "dc2").LogWarning(new EventId(5), "Service '{Service}' left.", "orders");

        var (id, message, properties) = Assert.Single(recorder.Logged);
        Assert.Equal((5, "Cluster dc2: Service 'orders' left."), (id.Id, message));
        Assert.Equal(("dc2", "orders"), (properties["Cluster"], properties["Service"]));
        Assert.Equal("Cluster {Cluster}: Service '{Service}' left.", properties["{OriginalFormat}"]);
    }

    private sealed class Recorder : ILogger
    {
        public List<(EventId Id, string Message, IReadOnlyDictionary<string, object?> Properties)> Logged { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
            => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
            => Logged.Add((eventId, formatter(state, exception), ((IEnumerable<KeyValuePair<string, object?>>)state!).ToDictionary()));
    }
}
