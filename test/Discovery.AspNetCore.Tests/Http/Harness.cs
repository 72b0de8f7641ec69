using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Discovery.AspNetCore.Directory;
using Discovery.AspNetCore.Http;
using Discovery.AspNetCore.Tests.Directory;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Http;

/// <summary>Clients of a service <c>svc</c> as an application has them, on a model of etcd, with real servers and real connections.</summary>
internal sealed class Harness : IAsyncDisposable
{
    public const string Service = "svc";

    private readonly ServiceProvider _services;
    private readonly List<TestServer> _servers = [];

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
            o.Ejection.Enabled = false;
            options?.Invoke(o);
        });
        client?.Invoke(builder);
        _services = collection.BuildServiceProvider();
    }

    public ModelEtcd Etcd { get; } = new();

    public LogLines Log { get; } = new();

    public ServicePool Pool => _services.GetRequiredService<ServicePools>().OfClient("client");

    public IServiceProvider Services => _services;

    public HttpClient Client(Version? version = null)
    {
        var client = _services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        client.DefaultRequestVersion = version ?? HttpVersion.Version11;
        client.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        return client;
    }

    /// <summary>Starts a server and registers it. It answers with its address unless told otherwise.</summary>
    public async Task<TestServer> StartServerAsync(
        RequestDelegate? answer = null, HttpProtocols protocols = HttpProtocols.Http1, Action<ListenOptions>? listen = null, string? scheme = null)
    {
        var server = await TestServer.StartAsync(answer, protocols, listen);
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

/// <summary>A Kestrel on a free port.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _connections;
    private int _requests;

    private TestServer(WebApplication app) => _app = app;

    public string Address => new Uri(_app.Urls.First()).Authority;

    /// <summary>How many connections are open.</summary>
    public int Connections => Volatile.Read(ref _connections);

    public int Requests => Volatile.Read(ref _requests);

    public static async Task<TestServer> StartAsync(RequestDelegate? answer, HttpProtocols protocols, Action<ListenOptions>? listen)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        TestServer? server = null;
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, endpoint =>
        {
            endpoint.Protocols = protocols;
            endpoint.Use(next => async connection =>
            {
                Interlocked.Increment(ref server!._connections);
                try
                {
                    await next(connection);
                }
                finally
                {
                    Interlocked.Decrement(ref server._connections);
                }
            });
            listen?.Invoke(endpoint);
        }));
        var app = builder.Build();
        server = new TestServer(app);
        app.Run(context =>
        {
            Interlocked.Increment(ref server._requests);
            return answer is null ? context.Response.WriteAsync(server.Address) : answer(context);
        });
        await app.StartAsync();
        return server;
    }

    /// <summary>Cuts all connections at once.</summary>
    public Task KillAsync() => _app.Services.GetRequiredService<IServer>().StopAsync(new CancellationToken(canceled: true));

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}

/// <summary>Listens, and lets connections wait for ever: its queue is full and nobody takes from it.</summary>
internal sealed class BlackHole : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Socket> _fillers = [];

    public BlackHole()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(0);
        Task connecting;
        do
        {
            var filler = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            _fillers.Add(filler);
            connecting = filler.ConnectAsync(_listener.LocalEndPoint!);
        }
        while (connecting.Wait(TimeSpan.FromMilliseconds(500)));

        // Its failure when the filler is disposed is of no interest.
        _ = connecting.ContinueWith(static t => _ = t.Exception, TaskScheduler.Default);
    }

    public string Address => _listener.LocalEndPoint!.ToString()!;

    public void Dispose()
    {
        _fillers.ForEach(static f => f.Dispose());
        _listener.Dispose();
    }
}

/// <summary>Remembers what was logged.</summary>
internal sealed class LogLines : ILoggerProvider
{
    private readonly ConcurrentQueue<(LogLevel Level, string Text)> _lines = new();

    public IReadOnlyList<string> At(LogLevel level) => [.. _lines.Where(l => l.Level == level).Select(l => l.Text)];

    public ILogger CreateLogger(string categoryName) => new Logger(_lines);

    public void Dispose()
    {
    }

    private sealed class Logger(ConcurrentQueue<(LogLevel Level, string Text)> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
            => lines.Enqueue((logLevel, string.Create(CultureInfo.InvariantCulture, $"{formatter(state, exception)} {exception?.Message}")));
    }
}
