using Discovery.AspNetCore.Tests.Calls;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Watching;

public sealed class EtcdAwayTests
{
    [Fact]
    public async Task Who_gives_up_before_the_client_does_finds_the_cause_in_the_log()
    {
        using var log = new LogRecorder();
        var services = new ServiceCollection();
        services.AddLogging(l => l.AddProvider(log));
        services.AddEtcdClient(o =>
        {
            o.Endpoints = [$"http://{Harness.RefusingAddress()}"];
            o.RequestTimeout = TimeSpan.FromHours(1);
        }).AddEtcdDiscovery();
        await using var provider = services.BuildServiceProvider();
        using var patience = new CancellationTokenSource();

        var ready = provider.GetRequiredService<IServiceDirectory>().WaitForReadyAsync("svc", patience.Token).AsTask();
        await Eventually.IsTrue(() => log.Has(LogLevel.Warning, "Services cannot be listed"));
        await patience.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ready);
        Assert.Contains("refused", Assert.Single(log.At(LogLevel.Warning), static l => l.Contains("Services cannot be listed", StringComparison.Ordinal)), StringComparison.OrdinalIgnoreCase);
    }
}
