using Helloworld;
using NativeAot;

// A native application that registers itself and calls itself by name, over gRPC and over HTTP.
var builder = WebApplication.CreateSlimBuilder(args);

builder.Services.AddGrpc();
builder.Services.AddEtcdRegistration();
builder.Services.AddGrpcHealthChecks().AddEtcdRegistration();
builder.Services.AddEtcdGrpcClient<Greeter.GreeterClient>();
builder.Services.AddHttpClient("greeter-web").AddEtcdDiscovery();

var app = builder.Build();

app.MapGrpcService<GreeterService>();
app.MapGrpcHealthChecksService();
app.MapGet("/hello/{name}", (string name) => $"Hello {name}");
app.MapGet("/call/{name}", async (string name, Greeter.GreeterClient greeter, IHttpClientFactory clients, CancellationToken cancellationToken) =>
{
    var reply = await greeter.SayHelloAsync(
        new HelloRequest { Name = $"{name} over gRPC" }, deadline: DateTime.UtcNow.AddSeconds(5), cancellationToken: cancellationToken);
    using var http = clients.CreateClient("greeter-web");
    var answer = await http.GetStringAsync(
        new Uri($"/hello/{Uri.EscapeDataString($"{name} over HTTP")}", UriKind.Relative), cancellationToken);
    return $"{reply.Message}, {answer}";
});

await app.RunAsync();
