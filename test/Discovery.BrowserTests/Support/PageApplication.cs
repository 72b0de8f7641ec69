using System.Text;
using Discovery.AspNetCore;
using Discovery.EmbeddedEtcd;
using Discovery.Etcd;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.BrowserTests.Support;

/// <summary>An application that registers itself, calls a service and shows the page.</summary>
internal sealed class PageApplication : IAsyncDisposable
{
    private readonly EmbeddedEtcdServer _etcd;
    private readonly EtcdClient _client;
    private readonly WebApplication _app;
    private readonly List<BackendServer> _servers = [];

    private PageApplication(EmbeddedEtcdServer etcd, WebApplication app)
    {
        _etcd = etcd;
        _app = app;
        _client = new EtcdClient(new EtcdClientOptions { Endpoints = [etcd.Endpoint] });
    }

    public WebApplication App => _app;

    public string Page => _app.Urls.First() + "/discovery";

    public HttpClient Greeter => _app.Services.GetRequiredService<IHttpClientFactory>().CreateClient("greeter");

    public HttpClient Orders => _app.Services.GetRequiredService<IHttpClientFactory>().CreateClient("orders");

    public static async Task<PageApplication> StartAsync(Action<WebApplication>? map = null)
    {
        var etcd = await EmbeddedEtcdServer.StartAsync();
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ApplicationName = "Shop" });
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Etcd:Endpoints"] = etcd.Endpoint,
            ["Etcd:Registration:ServiceName"] = "shop",
            ["Etcd:Registration:DrainDelay"] = "00:00:00",
            ["Etcd:Registration:LeaveDelay"] = "00:00:00",
            ["Etcd:Discovery:ReadyTimeout"] = "00:00:30",
        });
        builder.Services.AddRouting();
        builder.Services.AddEtcdRegistration();
        builder.Services.AddHttpClient("greeter").AddEtcdDiscovery();
        builder.Services.AddHttpClient("orders").AddEtcdDiscovery();
        var app = builder.Build();
        if (map is null)
        {
            app.MapEtcdDiscovery();
        }
        else
        {
            map(app);
        }

        await app.StartAsync();
        return new PageApplication(etcd, app);
    }

    /// <summary>Starts a server of the service <c>greeter</c> and registers it.</summary>
    public async Task<BackendServer> StartServerAsync(string metadata = "\"zone\":\"eu-1\",\"version\":\"2.1.0\"")
    {
        var server = await BackendServer.StartAsync();
        _servers.Add(server);
        await RegisterAsync("greeter", server.Address, metadata);
        return server;
    }

    public Task RegisterAsync(string service, string address, string metadata = "")
        => _client.PutAsync(
            $"services/{service}/{address}", Encoding.UTF8.GetBytes($$$"""{"Op":0,"Addr":"{{{address}}}","Metadata":{{{{metadata}}}}}"""));

    public Task DeregisterAsync(string service, string address) => _client.DeleteAsync($"services/{service}/{address}");

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        foreach (var server in _servers)
        {
            await server.DisposeAsync();
        }

        await _client.DisposeAsync();
        await _etcd.DisposeAsync();
    }
}
