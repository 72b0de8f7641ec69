using System.Text;
using Discovery.EmbeddedEtcd;
using Discovery.Etcd;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.Client.Balancer;
using Grpc.Net.Client.Configuration;
using Helloworld;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Grpc.Tests.Resolving;

/// <summary>What a load balancer of an application's own sees.</summary>
public sealed class AttributesTests
{
    [Fact]
    public async Task Addresses_have_weight_and_zone_and_only_those_that_should_be_called_are_there()
    {
        var balancer = new RecordingFactory();
        var directory = new FakeDirectory(
            Instance(1) with { Weight = 7, Zone = "eu-1" },
            Instance(2),
            Instance(3) with { IsDraining = true },
            Instance(4) with { Protocols = InstanceProtocols.Http1 },
            Instance(5) with { Scheme = "https" },
            Instance(6) with { Weight = 0 },
            Instance(7) with { Host = "::1" });
        var services = new ServiceCollection();
        services.AddEtcdGrpcResolver();
        services.AddSingleton<IServiceDirectory>(directory);
        services.AddSingleton<LoadBalancerFactory>(balancer);
        await using var provider = services.BuildServiceProvider();
        using var channel = Open(provider, balancer);

        await Eventually.IsTrue(() => balancer.Addresses.Count > 0);

        Assert.Equal(
            [("10.0.0.1", 7, "eu-1"), ("10.0.0.2", 10, null), ("::1", 10, null)],
            balancer.Addresses.OrderBy(static a => a.EndPoint.Host, StringComparer.Ordinal).Select(static a => (
                a.EndPoint.Host,
                a.Attributes.TryGetValue(EtcdBalancerAttributes.Weight, out var weight) ? weight : -1,
                a.Attributes.TryGetValue(EtcdBalancerAttributes.Zone, out var zone) ? zone : null)));

        directory.Publish(Instance(3) with { IsDraining = true }, Instance(6) with { Weight = 0 });

        await Eventually.IsTrue(() => balancer.Addresses.Count == 2);
    }

    [Fact]
    public async Task Instances_that_vanished_without_draining_are_there_only_while_nothing_else_is()
    {
        await using var etcd = await EmbeddedEtcdServer.StartAsync();
        await using var client = new EtcdClient(new EtcdClientOptions { Endpoints = [etcd.Endpoint] });
        var lease = await client.GrantLeaseAsync(TimeSpan.FromMinutes(5));
        foreach (var address in new[] { "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3" })
        {
            await PutAsync(client, address, lease.Id);
        }

        var balancer = new RecordingFactory();
        var services = new ServiceCollection();
        services.AddEtcdClient(o => o.Endpoints = [etcd.Endpoint]);
        services.AddEtcdGrpcResolver();
        services.AddSingleton<LoadBalancerFactory>(balancer);
        await using var provider = services.BuildServiceProvider();
        using var channel = Open(provider, balancer);
        await Eventually.IsTrue(() => balancer.Addresses.Count == 3);

        await client.RevokeLeaseAsync(lease.Id);
        await Eventually.IsTrue(() => provider.GetRequiredService<IServiceDirectory>().GetSnapshot("svc")!.HeldAddresses.Count == 3);
        Assert.Equal(3, balancer.Addresses.Count);
        await PutAsync(client, "127.0.0.1:4", lease: 0);

        await Eventually.IsTrue(() => balancer.Addresses is [{ EndPoint.Port: 4 }]);
    }

    private static Task<long> PutAsync(EtcdClient client, string address, long lease)
        => client.PutAsync($"services/svc/{address}", Encoding.UTF8.GetBytes($$"""{"Op":0,"Addr":"{{address}}","Metadata":null}"""), lease);

    /// <summary>A channel that has made its first call, which nobody answers.</summary>
    private static GrpcChannel Open(IServiceProvider services, RecordingFactory balancer)
    {
        var channel = GrpcChannel.ForAddress("etcd:///svc", new GrpcChannelOptions
        {
            ServiceProvider = services,
            Credentials = ChannelCredentials.Insecure,
            ServiceConfig = new ServiceConfig { LoadBalancingConfigs = { new LoadBalancingConfig(balancer.Name) } },
        });
        _ = new Greeter.GreeterClient(channel).SayHelloAsync(new HelloRequest()).ResponseAsync;
        return channel;
    }

    private static ServiceInstance Instance(int number) => new()
    {
        Key = $"services/svc/{number}",
        ServiceName = "svc",
        Host = $"10.0.0.{number}",
        Port = 5000,
    };

    private sealed class RecordingFactory : LoadBalancerFactory
    {
        public IReadOnlyList<BalancerAddress> Addresses { get; private set; } = [];

        public override string Name => "recording";

        public override LoadBalancer Create(LoadBalancerOptions options) => new Recorder(this);

        private sealed class Recorder(RecordingFactory factory) : LoadBalancer
        {
            public override void UpdateChannelState(ChannelState state) => factory.Addresses = state.Addresses ?? [];

            public override void RequestConnection()
            {
            }
        }
    }
}
