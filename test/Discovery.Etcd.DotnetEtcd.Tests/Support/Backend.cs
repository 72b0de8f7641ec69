using System.Security.Cryptography.X509Certificates;
using Etcdserverpb;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using dotnet_etcd.interfaces;

namespace Discovery.Etcd.DotnetEtcd.Tests.Support;

/// <summary>An etcd that the tests of a class share.</summary>
public abstract class Backend : IAsyncLifetime
{
    /// <summary>The user whose role is for <see cref="NewPrefix"/>es.</summary>
    public const string User = "app";

    public const string Password = "correct-horse-battery";

    private EtcdClient? _etcd;

    public abstract string Endpoint { get; }

    /// <summary>A client with a connection of its own, who may do everything, for what others do in etcd meanwhile.</summary>
    internal IEtcdClient Direct { get; private set; } = null!;

    protected internal virtual X509Certificate2? Certificate => null;

    public async Task InitializeAsync()
    {
        await StartAsync();
        (_etcd, Direct) = Connect(Endpoint, isRoot: true);
    }

    public async Task DisposeAsync()
    {
        Direct.Dispose();
        await _etcd!.DisposeAsync();
        await StopAsync();
    }

    /// <summary>Keys that no other test uses.</summary>
    internal static string NewPrefix() => $"app/{Guid.NewGuid():N}/";

    /// <summary>Starts another, empty cluster that is set up as this one.</summary>
    internal abstract Backend Other();

    /// <summary>dotnet-etcd by itself.</summary>
    internal abstract IEtcdClient ConnectAlone(string endpoint);

    /// <summary>What AddDotnetEtcd gives.</summary>
    internal (EtcdClient Etcd, IEtcdClient Client) Connect(string endpoint, ILoggerFactory? loggers = null, bool isRoot = false)
    {
        var options = new EtcdClientOptions { Endpoints = [endpoint] };
        Configure(options, isRoot);
        var etcd = new EtcdClient(options, loggers);
        return (etcd, DotnetEtcdClient.Create(etcd, DotnetEtcdClient.CreateWatchManager(etcd, loggers ?? NullLoggerFactory.Instance)));
    }

    internal Task<PutResponse> PutAsync(string key, string value) => Direct.PutAsync(key, value);

    /// <summary>Makes the present revision the oldest one.</summary>
    internal async Task CompactAsync()
    {
        var revision = (await Direct.GetAsync("app/")).Header.Revision;
        await Direct.CompactAsync(new CompactionRequest { Revision = revision, Physical = true });
    }

    protected internal virtual void Configure(EtcdClientOptions options, bool isRoot)
    {
    }

    protected abstract Task StartAsync();

    protected abstract Task StopAsync();
}
