using System.Text;
using Discovery.AspNetCore;
using Discovery.EmbeddedEtcd;
using Discovery.Etcd;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.FieldTests.Support;

/// <summary>An etcd, servers, and the services of an application that calls them as <c>svc</c>.</summary>
internal sealed class Field : IAsyncDisposable
{
    public const string Service = "svc";

    private readonly EmbeddedEtcdServer _etcd;
    private readonly EtcdClient _client;
    private readonly List<IAsyncDisposable> _owned = [];

    private Field(EmbeddedEtcdServer etcd)
    {
        _etcd = etcd;

        // What a test writes is no part of what it shows, and the first request on a busy machine may take long.
        _client = new EtcdClient(new EtcdClientOptions { Endpoints = [etcd.Endpoint], RequestTimeout = TimeSpan.FromMinutes(1) });
    }

    public string Etcd => _etcd.Endpoint;

    public LogRecorder Log { get; } = new();

    public static async Task<Field> StartAsync() => new(await EmbeddedEtcdServer.StartAsync());

    /// <summary>An address of this machine at which nobody listens; a number for each, from 1 up.</summary>
    public static string DeadAddress(int number) => $"127.9.{number / 250}.{(number % 250) + 1}:9";

    /// <summary>Starts a server and registers it. It answers with its address unless told otherwise.</summary>
    public async Task<BackendServer> StartServerAsync(
        RequestDelegate? answer = null, HttpProtocols protocols = HttpProtocols.Http1, Action<ListenOptions>? listen = null, string metadata = "")
    {
        var server = await BackendServer.StartAsync(answer, protocols, listen);
        Own(server);
        await RegisterAsync(server.Address, metadata);
        return server;
    }

    /// <summary>Disposes something after the test.</summary>
    public void Own(IAsyncDisposable owned) => _owned.Add(owned);

    /// <summary>Writes a record as another system might.</summary>
    /// <param name="address">Host and port.</param>
    /// <param name="metadata">The members of a JSON object.</param>
    /// <param name="service">The service.</param>
    /// <param name="lease">The lease of the record; 0 for none.</param>
    public Task RegisterAsync(string address, string metadata = "", string service = Service, long lease = 0)
        => _client.PutAsync($"services/{service}/{address}", Encoding.UTF8.GetBytes($$$"""{"Op":0,"Addr":"{{{address}}}","Metadata":{{{{metadata}}}}}"""), lease);

    /// <summary>A lease that outlives the test.</summary>
    public async Task<long> GrantLeaseAsync() => (await _client.GrantLeaseAsync(TimeSpan.FromMinutes(10))).Id;

    /// <summary>Writes any key.</summary>
    public Task PutAsync(string key, string value) => _client.PutAsync(key, Encoding.UTF8.GetBytes(value));

    public Task DeregisterAsync(string address) => _client.DeleteAsync($"services/{Service}/{address}");

    /// <summary>The services of an application.</summary>
    public ServiceProvider Application(Action<IServiceCollection> add, Action<EtcdDiscoveryOptions>? options = null)
    {
        var services = new ServiceCollection();
        services.AddLogging(l => l.AddProvider(Log));
        services.AddEtcdClient(o => o.Endpoints = [_etcd.Endpoint]);
        services.AddEtcdDiscovery(o =>
        {
            o.ReadyTimeout = TimeSpan.FromSeconds(30);
            options?.Invoke(o);
        });
        add(services);
        var provider = services.BuildServiceProvider();
        _owned.Add(provider);
        return provider;
    }

    /// <summary>A client of the service.</summary>
    public HttpClient Client(Action<EtcdDiscoveryOptions>? options = null, Action<IHttpClientBuilder>? configure = null)
    {
        var services = Application(
            s =>
            {
                var builder = s.AddHttpClient("client").AddEtcdDiscovery(Service);
                configure?.Invoke(builder);
            },
            options);
        return services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
    }

    public async ValueTask DisposeAsync()
    {
        // Clients before what they call.
        foreach (var owned in Enumerable.Reverse(_owned))
        {
            await owned.DisposeAsync();
        }

        await _client.DisposeAsync();
        await _etcd.DisposeAsync();
    }
}
