var builder = WebApplication.CreateBuilder(args);

builder.Services.AddEtcdRegistration();

var app = builder.Build();

app.MapGet("/hello/{name}", (string name, HttpContext context) => $"Hello {name} from port {context.Connection.LocalPort}");

await app.RunAsync();
