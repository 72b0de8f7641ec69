var builder = WebApplication.CreateBuilder(args);

builder.Services.AddControllers();
builder.Services.AddEtcdGrpcClient<Helloworld.Greeter.GreeterClient>("greeter");

var app = builder.Build();

app.MapControllers();

await app.RunAsync();
