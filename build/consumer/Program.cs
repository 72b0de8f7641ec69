using System.Net;
using Consumer;
using Discovery.EmbeddedEtcd;
using Helloworld;
using Microsoft.AspNetCore.Server.Kestrel.Core;

// Registers itself in an embedded etcd, calls itself by name in three ways, and prints the answers.
var builder = WebApplication.CreateBuilder(args);
builder.Logging.SetMinimumLevel(LogLevel.Error);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
builder.Configuration["Etcd:Registration:ServiceName"] = "greeter";
builder.AddEmbeddedEtcd(etcd => etcd.AllowOutsideDevelopment = true);
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

await using var app = builder.Build();
app.MapGrpcService<GreeterService>();
app.MapGet("/hello/{name}", (string name) => $"Hello {name}");
await app.StartAsync();

using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
var greeter = app.Services.GetRequiredService<Greeter.GreeterClient>();
var reply = await greeter.SayHelloAsync(new HelloRequest { Name = "gRPC" }, cancellationToken: limit.Token);
using var http = app.Services.GetRequiredService<IHttpClientFactory>().CreateClient("greeter");
var answer = await http.GetStringAsync(new Uri("/hello/HTTP", UriKind.Relative), limit.Token);
using var resolved = app.Services.GetRequiredService<IHttpClientFactory>().CreateClient("resolved");
var resolvedAnswer = await resolved.GetStringAsync(new Uri("/hello/ServiceDiscovery", UriKind.Relative), limit.Token);
await app.StopAsync(limit.Token);

Console.WriteLine($"{reply.Message}, {answer}, {resolvedAnswer}");
