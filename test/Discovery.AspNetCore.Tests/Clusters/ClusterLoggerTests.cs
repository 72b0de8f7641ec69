using Discovery.AspNetCore.Clusters;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Clusters;

public sealed class ClusterLoggerTests : ILogger
{
    private readonly List<(EventId Id, string Message, IReadOnlyDictionary<string, object?> Properties)> _logged = [];

    [Fact]
    public void A_message_begins_with_the_cluster_and_keeps_its_id_and_properties()
    {
        new ClusterLogger(this, "dc2").LogWarning(new EventId(5), "Service '{Service}' left.", "orders");

        var (id, message, properties) = Assert.Single(_logged);
        Assert.Equal((5, "Cluster dc2: Service 'orders' left."), (id.Id, message));
        Assert.Equal(("dc2", "orders"), (properties["Cluster"], properties["Service"]));
        Assert.Equal("Cluster {Cluster}: Service '{Service}' left.", properties["{OriginalFormat}"]);
    }

    IDisposable? ILogger.BeginScope<TState>(TState state) => null;

    bool ILogger.IsEnabled(LogLevel logLevel) => true;

    void ILogger.Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        => _logged.Add((eventId, formatter(state, exception), ((IEnumerable<KeyValuePair<string, object?>>)state!).ToDictionary()));
}
