using System.Collections.Concurrent;
using System.Text;
using Discovery.EmbeddedEtcd;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace Discovery.Etcd.Configuration.Tests;

/// <summary>An etcd behind a proxy that can be cut, and what the configuration said of it.</summary>
public sealed class EtcdFixture : IAsyncDisposable
{
    private readonly ConcurrentQueue<EtcdConfigurationProblem> _problems = new();

    private EtcdFixture(EmbeddedEtcdServer etcd)
    {
        Etcd = etcd;
        Proxy = TcpProxy.Start(new Uri(etcd.Endpoint).Port);
        Client = new EtcdClient(new EtcdClientOptions { Endpoints = [etcd.Endpoint] });
        Loggers = LoggerFactory.Create(l => l.SetMinimumLevel(LogLevel.Trace).AddProvider(Log));
    }

    public EmbeddedEtcdServer Etcd { get; }

    public TcpProxy Proxy { get; }

    /// <summary>A client that does not go through the proxy.</summary>
    public EtcdClient Client { get; }

    public LogRecorder Log { get; } = new();

    public ILoggerFactory Loggers { get; }

    public IReadOnlyList<EtcdConfigurationProblem> Problems => [.. _problems];

    public static async Task<EtcdFixture> StartAsync() => new(await EmbeddedEtcdServer.StartAsync());

    /// <summary>A configuration of the section <c>Etcd</c> and of the prefix.</summary>
    public ConfigurationManager Configure(string prefix = "config/shop/", Action<EtcdConfigurationOptions>? configure = null)
    {
        var configuration = new ConfigurationManager();
        configuration["Etcd:Endpoints"] = Proxy.Endpoint;
        configuration["Etcd:RequestTimeout"] = "00:00:01";
        try
        {
            configuration.AddEtcd(prefix, options =>
            {
                options.LoggerFactory = Loggers;
                options.OnProblem = _problems.Enqueue;
                configure?.Invoke(options);
            });
        }
        catch
        {
            configuration.Dispose();
            throw;
        }

        return configuration;
    }

    public async Task PutAsync(string key, string value) => await Client.PutAsync(key, Encoding.UTF8.GetBytes(value));

    /// <summary>Puts keys in one transaction.</summary>
    public async Task PutAsync(params (string Key, string Value)[] pairs)
    {
        var transaction = new EtcdTransaction();
        foreach (var (key, value) in pairs)
        {
            transaction.Then.Add(EtcdOperation.Put(key, Encoding.UTF8.GetBytes(value)));
        }

        await Client.ExecuteAsync(transaction);
    }

    public void Disconnect()
    {
        Proxy.Refuses = true;
        Proxy.CutAll();
    }

    public void Connect() => Proxy.Refuses = false;

    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        await Proxy.DisposeAsync();
        await Etcd.DisposeAsync();
        Loggers.Dispose();
    }
}
