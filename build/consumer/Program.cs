using System.Net;
using Consumer;
using Discovery.Etcd;
using Helloworld;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Transforms;

// Registers itself in an embedded etcd, calls itself by name in four ways, has configuration from there too, and prints the answers.
var builder = WebApplication.CreateBuilder(args);
builder.Logging.SetMinimumLevel(LogLevel.Error);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
builder.Configuration["Etcd:Registration:ServiceName"] = "greeter";
builder.AddEmbeddedEtcd(etcd => etcd.AllowOutsideDevelopment = true);
// The embedded etcd begins to answer with the application, so the configuration fills in then.
builder.Configuration.AddEtcd("config/consumer/", configuration => (configuration.Optional, configuration.ReadyTimeout) = (true, TimeSpan.FromMilliseconds(100)));
builder.Services.AddGrpc();
builder.Services.AddEtcdRegistration(options => options.FailFast = true);
builder.Services.AddEtcdGrpcClient<Greeter.GreeterClient>("greeter");
builder.Services.AddHttpClient("greeter", client =>
{
    client.DefaultRequestVersion = HttpVersion.Version20;
    client.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;
}).AddEtcdDiscovery();
builder.Services.AddServiceDiscovery();
builder.Services.AddEtcdServiceEndpointProvider();
builder.Services.AddHttpClient("resolved", client =>
{
    client.BaseAddress = new Uri("http://greeter");
    client.DefaultRequestVersion = HttpVersion.Version20;
    client.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;
}).AddServiceDiscovery();

builder.Services.AddReverseProxy()
    .LoadFromMemory(
        [new RouteConfig { RouteId = "greeter", ClusterId = "greeter", Match = new RouteMatch { Path = "/proxied/{**rest}" } }
            .WithTransformPathRemovePrefix("/proxied")],
        [new ClusterConfig
        {
            ClusterId = "greeter",
            LoadBalancingPolicy = "EtcdLeastLoad",
            HttpRequest = new ForwarderRequestConfig { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact },
            Destinations = new Dictionary<string, DestinationConfig> { ["all"] = new() { Address = "etcd://greeter" } },
        }])
    .AddEtcdDestinationResolver();

await using var app = builder.Build();
app.MapGrpcService<GreeterService>();
app.MapGet("/hello/{name}", (string name) => $"Hello {name}");
app.MapReverseProxy();
await app.StartAsync();

using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
var greeter = app.Services.GetRequiredService<Greeter.GreeterClient>();
var reply = await greeter.SayHelloAsync(new HelloRequest { Name = "gRPC" }, cancellationToken: limit.Token);
using var http = app.Services.GetRequiredService<IHttpClientFactory>().CreateClient("greeter");
var answer = await http.GetStringAsync(new Uri("/hello/HTTP", UriKind.Relative), limit.Token);
using var resolved = app.Services.GetRequiredService<IHttpClientFactory>().CreateClient("resolved");
var resolvedAnswer = await resolved.GetStringAsync(new Uri("/hello/ServiceDiscovery", UriKind.Relative), limit.Token);
// The proxy follows etcd, so its destination comes a moment after the registration.
string? proxied = null;
while (proxied is null)
{
    using var response = await http.GetAsync(new Uri("/proxied/hello/YARP", UriKind.Relative), limit.Token);
    proxied = response.IsSuccessStatusCode ? await response.Content.ReadAsStringAsync(limit.Token) : null;
}

await app.Services.GetRequiredService<EtcdClient>().PutAsync("config/consumer/Greeting", "Hello configuration"u8.ToArray(), cancellationToken: limit.Token);
while (app.Configuration["Greeting"] is null)
{
    await Task.Delay(TimeSpan.FromMilliseconds(50), limit.Token);
}

var configured = app.Configuration["Greeting"];
await app.StopAsync(limit.Token);

Console.WriteLine($"{reply.Message}, {answer}, {resolvedAnswer}, {proxied}, {configured}");
