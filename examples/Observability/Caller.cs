namespace Observability;

/// <summary>Calls from time to time, so that there is something to see.</summary>
internal sealed class Caller(IServiceScopeFactory scopes, IHostApplicationLifetime lifetime, ILogger<Caller> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Not to the very end: once the application has left etcd, nobody may be there to greet.
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, lifetime.ApplicationStopping);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(500));
        while (await timer.WaitForNextTickAsync(stop.Token))
        {
            try
            {
                // A client for each call, as a controller has one: the connections are not its own.
                await using var scope = scopes.CreateAsyncScope();
                await scope.ServiceProvider.GetRequiredService<GreetingClient>().GreetAsync(stop.Token);
            }
            catch (HttpRequestException e)
            {
                logger.LogWarning("Nobody greets: {Reason}", e.Message);
            }
        }
    }
}
