using Grpc.Core;
using Helloworld;

namespace Worker;

/// <summary>Greets every second, for as long as the host runs.</summary>
internal sealed class GreetingWorker(Greeter.GreeterClient greeter, ILogger<GreetingWorker> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1));
        do
        {
            try
            {
                var reply = await greeter.SayHelloAsync(
                    new HelloRequest { Name = "worker" }, deadline: DateTime.UtcNow.AddSeconds(5), cancellationToken: stoppingToken);
                logger.LogInformation("{Answer}", reply.Message);
            }
            catch (RpcException e) when (!stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning("Not greeted: {Reason}", e.Status.Detail);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }
}
