using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Clusters;

/// <summary>Has all that is logged of a cluster begin with its name. The loggers behind it belong to the application.</summary>
internal sealed class ClusterLoggerFactory(ILoggerFactory loggers, string cluster) : ILoggerFactory
{
    public ILogger CreateLogger(string categoryName) => new ClusterLogger(loggers.CreateLogger(categoryName), cluster);

    public void AddProvider(ILoggerProvider provider) => loggers.AddProvider(provider);

    public void Dispose()
    {
        // The application's factory outlives this one.
    }
}
