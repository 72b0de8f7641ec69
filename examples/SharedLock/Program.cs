using SharedLock;
using dotnet_etcd.interfaces;

var builder = WebApplication.CreateBuilder(args);
if (builder.Environment.IsDevelopment())
{
    // A real etcd is used where Etcd:Endpoints names one.
    builder.AddEmbeddedEtcd(static etcd => etcd.SkipIfEndpointsConfigured = true);
}

builder.Services.AddEtcdClient();
builder.Services.AddDotnetEtcd();
builder.Services.AddSingleton<LiveSettings>();
builder.Services.AddHostedService(static services => services.GetRequiredService<LiveSettings>());

// Two workers here; as well two processes, or twenty.
builder.Services.AddSingleton<IHostedService>(static services => ActivatorUtilities.CreateInstance<Worker>(services, "worker-1"));
builder.Services.AddSingleton<IHostedService>(static services => ActivatorUtilities.CreateInstance<Worker>(services, "worker-2"));

var app = builder.Build();

app.MapGet("/settings", static (LiveSettings settings) => settings.All);
app.MapPut("/settings/{name}", static async (string name, string value, IEtcdClient etcd, CancellationToken cancellationToken) =>
{
    await etcd.PutAsync(LiveSettings.Prefix + name, value, cancellationToken: cancellationToken);
});

await app.RunAsync();
