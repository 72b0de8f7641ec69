using System.Runtime.CompilerServices;
using Discovery.AspNetCore;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Helloworld;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Docs.Tests.Snippets;

// Types of an application that the pages speak of without showing them.
public sealed record User(string Id);

public sealed class OrdersClient(HttpClient client)
{
    public Task<string> GetAsync(int id) => client.GetStringAsync(new Uri($"/orders/{id}", UriKind.Relative));
}

public sealed class GreeterService : Greeter.GreeterBase
{
    public override Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context)
        => Task.FromResult(new HelloReply { Message = $"Hello {request.Name}" });
}

public sealed class LoggingInterceptor : Interceptor;

public sealed class WarmCache : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        => Task.FromResult(HealthCheckResult.Healthy());
}

public sealed class FakeDirectory : IServiceDirectory
{
    public IReadOnlyCollection<ServiceStatus> Services => [];

    public ServiceSnapshot GetSnapshot(string serviceName) => new(serviceName, []);

    public ServiceStatus GetStatus(string serviceName)
        => new() { ServiceName = serviceName, Prefix = "", IsReady = true, IsConnected = true, Revision = 0 };

    public ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default)
        => new(GetSnapshot(serviceName));

    public async IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(
        string serviceName, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        yield return GetSnapshot(serviceName);
        await Task.CompletedTask;
    }
}
