using System.Net;
using System.Net.Sockets;
using System.Text;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Tests.Watching;
using Discovery.AspNetCore.Watching;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Calls;

/// <summary>Clients of a service <c>svc</c> as an application has them, on a model of etcd, with real servers and real connections.</summary>
internal sealed class Harness : IAsyncDisposable
{
    public const string Service = "svc";

    private readonly ServiceProvider _services;
    private readonly List<BackendServer> _servers = [];

    public Harness(
        Action<EtcdDiscoveryOptions>? options = null,
        Action<IHttpClientBuilder>? client = null,
        Action<IServiceCollection>? services = null,
        params (string Key, string Value)[] settings)
    {
        var collection = new ServiceCollection();
        collection.AddSingleton<IConfiguration>(
            new ConfigurationBuilder().AddInMemoryCollection(settings.ToDictionary(s => s.Key, s => (string?)s.Value)).Build());
        collection.AddLogging(l => l.AddProvider(Log));
        collection.AddSingleton<IServiceSource>(Etcd);
        services?.Invoke(collection);
        var builder = collection.AddHttpClient("client");
        builder.AddEtcdDiscovery(Service, o =>
        {
            o.Policy = "RoundRobin";
            o.AllowLoopback = true;
            o.Ejection.Enabled = false;
            options?.Invoke(o);
        });
        client?.Invoke(builder);
        _services = collection.BuildServiceProvider();
    }

    public ModelEtcd Etcd { get; } = new();

    public LogRecorder Log { get; } = new();

    public ServicePool Pool => _services.GetRequiredService<PoolCache>().OfClient("client");

    public IServiceProvider Services => _services;

    public HttpClient Client(Version? version = null)
    {
        var client = _services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        client.DefaultRequestVersion = version ?? HttpVersion.Version11;
        client.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        return client;
    }

    /// <summary>Starts a server and registers it. It answers with its address unless told otherwise.</summary>
    public async Task<BackendServer> StartServerAsync(
        RequestDelegate? answer = null, HttpProtocols protocols = HttpProtocols.Http1, Action<ListenOptions>? listen = null, string? scheme = null)
    {
        var server = await BackendServer.StartAsync(answer, protocols, listen);
        _servers.Add(server);
        Register(server.Address, scheme: scheme);
        return server;
    }

    public void Register(string address, string? id = null, string? scheme = null, string? key = null)
    {
        var metadata = string.Join(',', new[] { id is null ? null : $"\"id\":\"{id}\"", scheme is null ? null : $"\"scheme\":\"{scheme}\"" }.OfType<string>());
        Etcd.Put($"services/{Service}/{key ?? address}", Encoding.UTF8.GetBytes($$$"""{"Addr":"{{{address}}}","Metadata":{{{{metadata}}}}}"""));
    }

    public void Deregister(string address) => Etcd.Delete($"services/{Service}/{address}");

    /// <summary>An address at which nobody listens.</summary>
    public static string RefusingAddress()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket.LocalEndPoint!.ToString()!;
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        foreach (var server in _servers)
        {
            await server.DisposeAsync();
        }
    }
}
