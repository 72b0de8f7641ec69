using System.Net;
using Autofac.Extensions.DependencyInjection;
using Discovery.EmbeddedEtcd;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Discovery.AspNetCore.Grpc.Tests;

/// <summary>Applications whose services another container than .NET's makes: it understands keys, but not each attribute of .NET's.</summary>
public sealed class OtherContainerTests
{
    [Fact]
    public async Task An_application_on_Autofac_registers_and_calls_in_two_clusters()
    {
        await using var etcd = await EmbeddedEtcdServer.StartAsync();
        await using var dc2 = await EmbeddedEtcdServer.StartAsync();
        var builder = WebApplication.CreateBuilder();
        builder.Host.UseServiceProviderFactory(new AutofacServiceProviderFactory());
        builder.Configuration.AddInMemoryCollection(
        [
            new("Etcd:Endpoints", etcd.Endpoint), new("Etcd:Clusters:dc2:Endpoints", dc2.Endpoint), new("Etcd:Registration:ServiceName", "greeter"),
            new("Etcd:RequestTimeout", "00:00:30"), new("Etcd:Clusters:dc2:RequestTimeout", "00:00:30"), new("Etcd:Discovery:ReadyTimeout", "00:00:30"),
            new("Etcd:Registration:FailFast", "true"), new("Etcd:Registration:DrainDelay", "0"), new("Etcd:Registration:LeaveDelay", "0"),
        ]);
        builder.WebHost.ConfigureKestrel(static k => k.Listen(IPAddress.Loopback, 0, static l => l.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc();
        builder.Services.AddEtcdRegistration().AddKeyedEtcdRegistration("dc2");
        builder.Services.AddEtcdGrpcClient<Greeter.GreeterClient>("greeter");
        foreach (var cluster in (string?[])[null, "dc2"])
        {
            builder.Services.AddHttpClient($"in {cluster}", static c => (c.DefaultRequestVersion, c.DefaultVersionPolicy) = (HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact))
                .AddEtcdDiscovery("greeter", o => o.Cluster = cluster);
        }

        builder.Services.AddHealthChecks().AddEtcd().AddEtcdRegistrationCheck().AddKeyedEtcdRegistrationCheck("dc2").AddEtcdDiscovery("greeter");
        await using var app = builder.Build();
        app.MapGrpcService<Service>();
        app.MapGet("/who", static (HttpContext c) => c.Connection.LocalPort.ToString());
        app.MapEtcdDiscovery();
        app.MapEtcdPrometheusTargets("/sd");
        await app.StartAsync();
        var port = $"{new Uri(app.Urls.First()).Port}";

        var reply = await app.Services.GetRequiredService<Greeter.GreeterClient>().SayHelloAsync(new HelloRequest { Name = "bob" });
        Assert.Equal("bob", reply.Message);
        foreach (var client in (string[])["in ", "in dc2"])
        {
            Assert.Equal(port, await app.Services.GetRequiredService<IHttpClientFactory>().CreateClient(client).GetStringAsync("/who"));
        }

        Assert.Single((await app.Services.GetRequiredKeyedService<IServiceDirectory>("dc2").WaitForReadyAsync("greeter")).Instances);
        Assert.Equal(2, (await app.Services.GetRequiredService<IServiceDirectory>().ListServicesAsync()).Services.Count);
        Assert.NotNull(app.Services.GetRequiredService<IEtcdGrpcChannels>().GetChannel("greeter"));
        Assert.NotNull(app.Services.GetRequiredKeyedService<IEtcdGrpcChannels>("dc2").GetChannel("greeter"));
        Assert.Equal(HealthStatus.Healthy, (await app.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Status);
        await app.StopAsync();
        Assert.Equal(ServiceRegistrationState.Stopped, app.Services.GetRequiredKeyedService<IServiceRegistration>("dc2").Status.State);
    }

    private sealed class Service : Greeter.GreeterBase
    {
        public override Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context)
            => Task.FromResult(new HelloReply { Message = request.Name });
    }
}
