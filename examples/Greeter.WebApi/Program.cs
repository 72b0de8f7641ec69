var builder = WebApplication.CreateBuilder(args);

builder.Services.AddControllers();
builder.Services.AddEtcdGrpcClient<Helloworld.Greeter.GreeterClient>("greeter")
    // Tries again what failed on its way, which does no harm as greeting twice does none. Each attempt picks its own instance.
    // Not for streams: docs/grpc.md#retries.
    .AddStandardResilienceHandler();

var app = builder.Build();

app.MapControllers();

// Who is registered and where calls go, at /discovery. It tells addresses: keep it from the public.
app.MapEtcdDiscovery();

await app.RunAsync();
