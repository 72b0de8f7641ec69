using System.Text;
using Discovery.EmbeddedEtcd;
using Discovery.Etcd;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Listing;

/// <summary>An etcd of the test's own, and applications that read it.</summary>
public abstract class EtcdTestBase : IAsyncLifetime
{
    private readonly List<IAsyncDisposable> _owned = [];

    protected EmbeddedEtcdServer Etcd { get; private set; } = null!;

    protected EtcdClient Client { get; private set; } = null!;

    protected LogRecorder Log { get; } = new();

    public async Task InitializeAsync()
    {
        Etcd = await EmbeddedEtcdServer.StartAsync();
        Client = new EtcdClient(new EtcdClientOptions { Endpoints = [Etcd.Endpoint] });
    }

    public async Task DisposeAsync()
    {
        Etcd.Resume();
        foreach (var owned in Enumerable.Reverse(_owned))
        {
            await owned.DisposeAsync();
        }

        await Client.DisposeAsync();
        await Etcd.DisposeAsync();
    }

    protected Task PutAsync(string key, string value) => Client.PutAsync(key, Encoding.UTF8.GetBytes(value));

    /// <summary>Registers an instance as etcd's naming has it.</summary>
    protected Task RegisterAsync(string service, string address, string metadata = "null", string root = "services/")
        => PutAsync($"{root}{service}/{address}", $$"""{"Op":0,"Addr":"{{address}}","Metadata":{{metadata}}}""");

    protected IServiceDirectory Read(params (string Name, string Value)[] settings)
        => Build(settings).Services.GetRequiredService<IServiceDirectory>();

    protected WebApplication Build((string Name, string Value)[] settings, Action<IServiceCollection>? configure = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(Log).SetMinimumLevel(LogLevel.Debug);
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration["Etcd:Endpoints"] = Etcd.Endpoint;
        foreach (var (name, value) in settings)
        {
            builder.Configuration[name] = value;
        }

        builder.Services.AddEtcdDiscovery();
        configure?.Invoke(builder.Services);
        var app = builder.Build();
        Own(app);
        return app;
    }

    protected void Own(IAsyncDisposable disposable) => _owned.Add(disposable);

    protected static IEnumerable<string> NamesOf(ServiceListing listing) => listing.Services.Select(static s => s.ServiceName);
}
