using System.Text;
using System.Text.Json;
using Discovery.EmbeddedEtcd;
using Discovery.Etcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.ServiceDiscovery;

namespace Discovery.AspNetCore.ServiceDiscovery.Tests;

/// <summary>An etcd of the test's own, and a container that resolves by it.</summary>
public abstract class DirectoryTestBase : IAsyncLifetime
{
    private readonly Lazy<ServiceProvider> _services;

    protected DirectoryTestBase() => _services = new(() =>
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(Settings).Build());
        services.AddLogging(l => l.AddProvider(Log).SetMinimumLevel(LogLevel.Debug));
        services.AddServiceDiscovery();
        services.AddEtcdServiceEndpointProvider();
        Configure(services);
        return services.BuildServiceProvider();
    });

    protected EmbeddedEtcdServer Etcd { get; private set; } = null!;

    protected EtcdClient Client { get; private set; } = null!;

    protected LogRecorder Log { get; } = new();

    /// <summary>To be filled before the container is used.</summary>
    protected Dictionary<string, string?> Settings { get; } = [];

    /// <summary>To be set before the container is used.</summary>
    protected Action<IServiceCollection> Configure { get; set; } = static _ => { };

    protected ServiceProvider Services => _services.Value;

    protected ServiceEndpointResolver Resolver => Services.GetRequiredService<ServiceEndpointResolver>();

    public async Task InitializeAsync()
    {
        Etcd = await EmbeddedEtcdServer.StartAsync();
        Client = new EtcdClient(new EtcdClientOptions { Endpoints = [Etcd.Endpoint] });
        Settings["Etcd:Endpoints"] = Etcd.Endpoint;
    }

    public async Task DisposeAsync()
    {
        if (_services.IsValueCreated)
        {
            await _services.Value.DisposeAsync();
        }

        await Client.DisposeAsync();
        await Etcd.DisposeAsync();
    }

    protected Task PutAsync(string service, string address, object? metadata = null)
        => Client.PutAsync(
            $"services/{service}/{address}",
            Encoding.UTF8.GetBytes(JsonSerializer.Serialize(new { Op = 0, Addr = address, Metadata = metadata })));

    protected Task DeleteAsync(string service, string address) => Client.DeleteAsync($"services/{service}/{address}");

    protected async Task<string[]> ResolveAsync(string name)
    {
        var source = await Resolver.GetEndpointsAsync(name, CancellationToken.None);
        return [.. source.Endpoints.Select(static e => e.ToString()!.TrimEnd('/')).Order(StringComparer.Ordinal)];
    }

    protected Task Resolves(string name, params string[] addresses)
        => Eventually.IsTrue(async () => (await ResolveAsync(name)).SequenceEqual(addresses), what: $"{name} is {string.Join(' ', addresses)}");
}
