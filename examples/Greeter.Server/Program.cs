using Greeter.Server;

var builder = WebApplication.CreateBuilder(args);

builder.Services.AddGrpc();
builder.Services.AddGrpcReflection();
builder.Services.AddEtcdRegistration();
builder.Services.AddGrpcHealthChecks().AddEtcdRegistration();

var app = builder.Build();

app.MapGrpcService<GreeterService>();
app.MapGrpcHealthChecksService();

// For grpcurl and its like; what it tells is the .proto, which not everybody is to see in production.
if (app.Environment.IsDevelopment())
{
    app.MapGrpcReflectionService();
}

await app.RunAsync();
