using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Discovery.Etcd.Configuration.Tests;

/// <summary>In hosts, which build the configuration in ways of their own and own it.</summary>
public sealed class HostTests : IAsyncLifetime
{
    private EtcdFixture _etcd = null!;

    public async Task InitializeAsync()
    {
        _etcd = await EtcdFixture.StartAsync();
        await _etcd.PutAsync("config/shop/Shop/Title", "1");
    }

    public async Task DisposeAsync() => await _etcd.DisposeAsync();

    [Fact]
    public async Task A_web_application_follows_etcd_until_it_is_disposed()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration["Etcd:Endpoints"] = _etcd.Proxy.Endpoint;
        builder.Configuration.AddEtcd("config/shop/");
        builder.Services.Configure<Shop>(builder.Configuration.GetSection("Shop"));
        var app = builder.Build();

        await FollowsAsync(app.Services);
        await app.DisposeAsync();

        await Eventually.IsTrue(() => _etcd.Proxy.Open == 0);
    }

    [Fact]
    public async Task A_generic_host_follows_etcd_until_it_is_disposed()
    {
        var host = new HostBuilder()
            .ConfigureAppConfiguration(c => c.AddInMemoryCollection([new("Etcd:Endpoints:0", _etcd.Proxy.Endpoint)]).AddEtcd("config/shop/"))
            .ConfigureServices((context, services) => services.Configure<Shop>(context.Configuration.GetSection("Shop")))
            .Build();

        await FollowsAsync(host.Services);
        host.Dispose();

        await Eventually.IsTrue(() => _etcd.Proxy.Open == 0);
    }

    private async Task FollowsAsync(IServiceProvider services)
    {
        var monitor = services.GetRequiredService<IOptionsMonitor<Shop>>();
        Assert.Equal("1", monitor.CurrentValue.Title);
        await _etcd.PutAsync("config/shop/Shop/Title", "2");
        await Eventually.IsTrue(() => monitor.CurrentValue.Title == "2");
    }

    public sealed class Shop
    {
        public string? Title { get; set; }
    }
}
