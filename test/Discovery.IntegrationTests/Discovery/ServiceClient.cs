using Discovery.AspNetCore;
using Discovery.AspNetCore.Pools;
using Discovery.Etcd;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.IntegrationTests.Discovery;

/// <summary>An application that calls a service, with everything real.</summary>
internal sealed class ServiceClient : IAsyncDisposable
{
    private readonly ServiceProvider _services;

    public ServiceClient(string endpoints, string service, Action<EtcdDiscoveryOptions>? configure = null)
    {
        Service = service;
        var services = new ServiceCollection();
        services.AddLogging(l => l.AddProvider(Log).SetMinimumLevel(LogLevel.Debug));
        services.AddEtcdClient(o => o.Endpoints = [endpoints]);
        services.AddEtcdDiscovery(o =>
        {
            o.Policy = "RoundRobin";
            configure?.Invoke(o);
        });
        services.AddHttpClient("client").AddEtcdDiscovery(service);
        _services = services.BuildServiceProvider();
        Http = _services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
    }

    public string Service { get; }

    public LogRecorder Log { get; } = new();

    public HttpClient Http { get; }

    public IServiceDirectory Directory => _services.GetRequiredService<IServiceDirectory>();

    public EtcdClient Etcd => _services.GetRequiredService<EtcdClient>();

    public ServicePool Pool => _services.GetRequiredService<PoolCache>().OfClient("client");

    public ServiceSnapshot? Snapshot => Directory.GetSnapshot(Service);

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _services.DisposeAsync();
    }
}
