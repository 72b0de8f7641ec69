using System.Net;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.FieldTests;

/// <summary>An application with an endpoint for gRPC and one for browsers, which registers both under one name.</summary>
public sealed class TwoPortsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task No_call_goes_to_the_port_that_does_not_speak_its_protocol(int instances)
    {
        await using var field = await Field.StartAsync();
        var applications = new List<WebApplication>();
        while (applications.Count < instances)
        {
            var application = await StartAsync(field.Etcd);
            field.Own(application);
            applications.Add(application);
        }

        var services = field.Application(static s =>
        {
            s.AddHttpClient("client").AddEtcdDiscovery(Field.Service);
            s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service);
        });

        // A client that is there before a server would spare it for a while, and shares are counted here.
        var directory = services.GetRequiredService<IServiceDirectory>();
        await directory.WaitForReadyAsync(Field.Service);
        await Eventually.IsTrue(() => directory.GetSnapshot(Field.Service)?.Instances.Count == 2 * instances);
        using var http = services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        var grpc = services.GetRequiredService<Greeter.GreeterClient>();
        var (answered, answeredGrpc) = (new int[instances], new int[instances]);
        var ports = applications.Select(static a => a.Urls.Select(static u => new Uri(u).Port).ToList()).ToList();

        await Parallel.ForEachAsync(Enumerable.Range(0, 1000), new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (_, cancellationToken) =>
        {
            Count(answered, await http.GetStringAsync("x", cancellationToken));
            Count(answeredGrpc, (await grpc.SayHelloAsync(new HelloRequest(), cancellationToken: cancellationToken)).Message);
        });

        Assert.Equal((1000, 1000), (answered.Sum(), answeredGrpc.Sum()));
        Assert.All([.. answered, .. answeredGrpc], n => Assert.InRange(n, 0.6 * 1000 / instances, 1000));

        void Count(int[] counts, string port)
            => Interlocked.Increment(ref counts[ports.FindIndex(p => p.Contains(int.Parse(port, System.Globalization.CultureInfo.InvariantCulture)))]);
    }

    private static async Task<WebApplication> StartAsync(string etcd)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Kestrel:Endpoints:Grpc:Url"] = "http://127.0.0.1:0",
            ["Kestrel:Endpoints:Grpc:Protocols"] = "Http2",
            ["Kestrel:Endpoints:Web:Url"] = "http://127.0.0.1:0",
            ["Kestrel:Endpoints:Web:Protocols"] = "Http1",
            ["Etcd:Endpoints"] = etcd,
            ["Etcd:Registration:ServiceName"] = Field.Service,
            ["Etcd:Registration:GracefulStop"] = "false",
        });
        builder.Services.AddGrpc();
        builder.Services.AddEtcdRegistration();
        var application = builder.Build();
        application.MapGrpcService<GreeterService>();
        application.MapGet("/x", static (Microsoft.AspNetCore.Http.HttpContext c) => $"{c.Connection.LocalPort}");
        await application.StartAsync();
        return application;
    }

    private sealed class GreeterService : Greeter.GreeterBase
    {
        public override Task<HelloReply> SayHello(HelloRequest request, ServerCallContext context)
            => Task.FromResult(new HelloReply { Message = $"{context.GetHttpContext().Connection.LocalPort}" });
    }
}
