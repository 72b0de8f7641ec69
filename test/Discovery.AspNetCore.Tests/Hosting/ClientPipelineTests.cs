using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.AspNetCore.Tests.Hosting;

public sealed class ClientPipelineTests
{
    [Fact]
    public async Task A_log_that_is_sent_by_http_needs_no_log()
    {
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddSingleton<ILoggerProvider, SendingProvider>();
        services.AddHttpClient("orders").AddEtcdDiscovery();
        await using var provider = services.BuildServiceProvider();

        var loggers = await Task.Run(provider.GetRequiredService<ILoggerFactory>).WaitAsync(TimeSpan.FromSeconds(30));

        Assert.NotNull(loggers.CreateLogger("a"));
    }

    private sealed class SendingProvider(IHttpClientFactory clients) : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) => clients is null ? throw new InvalidOperationException() : NullLogger.Instance;

        public void Dispose()
        {
        }
    }
}
