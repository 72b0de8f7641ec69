using Greeter.Server;

var builder = WebApplication.CreateBuilder(args);

builder.Services.AddGrpc();
builder.Services.AddEtcdRegistration();

var app = builder.Build();

app.MapGrpcService<GreeterService>();

await app.RunAsync();
