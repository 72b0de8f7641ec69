using Observability;

var builder = WebApplication.CreateBuilder(args);
if (builder.Environment.IsDevelopment())
{
    // Where no etcd is configured, one in this process will do.
    builder.AddEmbeddedEtcd(static etcd => etcd.SkipIfEndpointsConfigured = true);
}

builder.Services.AddEtcdRegistration();
builder.Services.AddHttpClient<GreetingClient>(static client => client.BaseAddress = new Uri("http://greeting"))
    .AddEtcdDiscovery("greeting");
builder.Services.AddHostedService<Caller>();
builder.AddObservability();

var app = builder.Build();

app.MapGet("/", static () => "Hello!");
app.MapGet("/greet", static (GreetingClient client, CancellationToken cancellationToken) => client.GreetAsync(cancellationToken));
app.MapEtcdDiscovery();

await app.RunAsync();
