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
        using var channel = GrpcChannel.ForAddress("etcd:///svc", new GrpcChannelOptions
        {
            ServiceProvider = provider,
            Credentials = ChannelCredentials.Insecure,
            ServiceConfig = new ServiceConfig { LoadBalancingConfigs = { new LoadBalancingConfig(balancer.Name) } },
        });
        _ = new Greeter.GreeterClient(channel).SayHelloAsync(new HelloRequest()).ResponseAsync;

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
