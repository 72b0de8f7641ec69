using Discovery.EmbeddedEtcd;
using Grpc.Core;
using dotnet_etcd.interfaces;

namespace Discovery.Etcd.DotnetEtcd.Tests.Support;

/// <summary>The embedded etcd.</summary>
public sealed class EmbeddedBackend : Backend
{
    private EmbeddedEtcdServer? _etcd;

    public override string Endpoint => _etcd!.Endpoint;

    internal override Backend Other() => new EmbeddedBackend();

    internal override IEtcdClient ConnectAlone(string endpoint) =>
        new dotnet_etcd.EtcdClient(endpoint, configureChannelOptions: static o => o.Credentials = ChannelCredentials.Insecure);

    protected override async Task StartAsync() => _etcd = await EmbeddedEtcdServer.StartAsync();

    protected override async Task StopAsync() => await _etcd!.DisposeAsync();
}
