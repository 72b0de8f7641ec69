using System.Globalization;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.Client.Balancer;
using Grpc.Net.Client.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.Benchmarks.Calls;

/// <summary>What is compared: gRPC channels of one kind each, as an application would make them.</summary>
internal sealed record CallsClient(GrpcChannel Channel, ServiceProvider? Services) : IAsyncDisposable
{
    /// <summary>At a fixed address, without any discovery.</summary>
    public static CallsClient OfAddress(string address) => new(GrpcChannel.ForAddress($"http://{address}"), null);

    /// <summary>The same with a handler that only counts the calls under way: the floor of whatever balances by load.</summary>
    public static CallsClient OfCounting(string address) => new(
        GrpcChannel.ForAddress($"http://{address}", new GrpcChannelOptions
        {
            HttpHandler = new CountingCalls(new HttpMessageInvoker(new SocketsHttpHandler { EnableMultipleHttp2Connections = true })),
            DisposeHttpClient = true,
        }),
        null);

    /// <summary>Ours, with static instances: etcd has no part in a call.</summary>
    public static CallsClient OfDiscovery(string[] servers)
    {
        var services = BenchServices.Create(("Etcd:Endpoints:0", "http://127.0.0.1:2379"), ("Etcd:Discovery:Services:bench:Instances", string.Join(',', servers)));
        services.AddEtcdGrpcChannels();
        var provider = services.BuildServiceProvider();
        return new CallsClient(provider.GetRequiredService<IEtcdGrpcChannels>().GetChannel("bench"), provider);
    }

    /// <summary>Microsoft.Extensions.ServiceDiscovery's handler, without the log lines of HttpClient, which ours does not have either.</summary>
    public static CallsClient OfServiceDiscovery(string[] servers)
    {
        var (handler, provider) = CreateServiceDiscovery("bench", servers, new SocketsHttpHandler { EnableMultipleHttp2Connections = true });
        return new CallsClient(GrpcChannel.ForAddress("http://bench", new GrpcChannelOptions { HttpHandler = handler }), provider);
    }

    /// <summary>Microsoft.Extensions.ServiceDiscovery's handler alone.</summary>
    public static (HttpMessageHandler Handler, ServiceProvider Services) CreateServiceDiscovery(string service, string[] servers, HttpMessageHandler primary)
    {
        var services = BenchServices.Create([.. servers.Select((s, i) => (string.Create(CultureInfo.InvariantCulture, $"Services:{service}:http:{i}"), s))]);
        services.AddServiceDiscovery();
        services.AddHttpClient(service)
            .ConfigurePrimaryHttpMessageHandler(() => primary)
            .RemoveAllLoggers()
            .AddServiceDiscovery();
        var provider = services.BuildServiceProvider();
        return (provider.GetRequiredService<IHttpMessageHandlerFactory>().CreateHandler(service), provider);
    }

    /// <summary>The client's own round robin.</summary>
    public static CallsClient OfRoundRobin(string[] servers)
    {
        var addresses = servers.Select(static s => new Uri($"http://{s}")).Select(static u => new BalancerAddress(u.Host, u.Port)).ToArray();
        var services = new ServiceCollection();
        services.AddSingleton<ResolverFactory>(new StaticResolverFactory(_ => addresses));
        var provider = services.BuildServiceProvider();
        var channel = GrpcChannel.ForAddress("static:///bench", new GrpcChannelOptions
        {
            Credentials = ChannelCredentials.Insecure,
            ServiceProvider = provider,
            ServiceConfig = new ServiceConfig { LoadBalancingConfigs = { new RoundRobinConfig() } },
        });
        return new CallsClient(channel, provider);
    }

    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        if (Services is not null)
        {
            await Services.DisposeAsync();
        }
    }
}
