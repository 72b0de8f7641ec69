using Discovery.AspNetCore.Pools;
using Microsoft.Extensions.Hosting;

namespace Discovery.AspNetCore.Hosting;

/// <summary>
/// Starts watching the services of all registered clients when the application starts, so that the first call finds them listed and
/// wrong settings are told at start. It does not wait: a service that cannot be listed yet keeps nobody from starting.
/// </summary>
internal sealed class PoolWarmup(ClientCatalog clients, PoolCache pools) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        pools.FollowConfiguration();
        foreach (var client in clients.All)
        {
            pools.OfClient(client.Name);
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
