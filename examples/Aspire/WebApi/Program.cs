var builder = WebApplication.CreateBuilder(args);

builder.Services.AddHttpClient("greeter").AddEtcdDiscovery();

var app = builder.Build();

app.MapGet("/greet/{name}", (string name, IHttpClientFactory clients, CancellationToken cancellationToken) =>
    clients.CreateClient("greeter").GetStringAsync(new Uri($"/hello/{Uri.EscapeDataString(name)}", UriKind.Relative), cancellationToken));

// Who is registered, and where calls go.
app.MapEtcdDiscovery();

await app.RunAsync();
