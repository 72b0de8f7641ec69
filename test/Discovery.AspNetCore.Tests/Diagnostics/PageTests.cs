using System.Net.Http.Json;
using System.Text.Json;
using Discovery.AspNetCore.Clusters;
using Discovery.AspNetCore.Pools;
using Discovery.AspNetCore.Tests.Watching;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.Tests.Diagnostics;

/// <summary>The page of an application whose directory and registration are its own.</summary>
public sealed class PageTests
{
    /// <summary>It looks at them from a timer too, where what they throw would end the process.</summary>
    [Fact]
    public async Task What_an_own_directory_or_registration_cannot_say_is_left_out()
    {
        var directory = new SilentDirectory();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration["Etcd:Registration:Enabled"] = "false";
        builder.Services.AddEtcdRegistration();
        builder.Services.AddSingleton<IServiceRegistration, SilentRegistration>();
        builder.Services.AddSingleton<IServiceDirectory>(directory);
        builder.Services.AddHttpClient("client").AddEtcdDiscovery("svc");
        await using var application = builder.Build();
        application.MapEtcdDiscovery();
        await application.StartAsync();

        // There is a pool of the service now, whose status is asked for as well.
        using var client = application.Services.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));
        Assert.Contains("Service 'svc' has no instance", failure.Message, StringComparison.Ordinal);

        using var visitor = new HttpClient { BaseAddress = new Uri(application.Urls.First()) };
        await Eventually.IsTrue(() => directory.Asked > 2);
        var report = await visitor.GetFromJsonAsync<JsonElement>("discovery?format=json");

        Assert.Equal(0, report.GetProperty("services").GetArrayLength());
        Assert.Equal(0, report.GetProperty("registrations").GetArrayLength());
    }

    [Fact]
    public async Task A_service_that_is_called_in_two_ways_is_shown_twice()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration["Etcd:Clusters:dc2:Endpoints"] = "http://127.0.0.1:9";
        builder.Configuration["Etcd:Discovery:Services:greeter:Cluster"] = "dc2";
        builder.Services.AddKeyedEtcdClient("dc2");
        builder.Services.AddHttpClient("client").AddEtcdDiscovery("greeter");
        await using var application = builder.Build();
        application.MapEtcdDiscovery();
        await application.StartAsync();

        var pools = application.Services.GetRequiredService<PoolCache>();
        _ = pools.OfClient("client");
        _ = pools.OfService("greeter", application.Services.GetRequiredKeyedService<Cluster>("dc2"));
        using var visitor = new HttpClient { BaseAddress = new Uri(application.Urls.First()) };

        Assert.Equal(2, (await visitor.GetStringAsync("discovery?format=text")).Split("SERVICE greeter in dc2,").Length - 1);
        var report = await visitor.GetFromJsonAsync<JsonElement>("discovery?format=json");
        Assert.Equal(["dc2/greeter", "dc2/greeter (2)"], report.GetProperty("services").EnumerateArray().Select(static s => s.GetProperty("id").GetString()));
    }

    /// <summary>Knows a service without instances, and nothing else.</summary>
    private sealed class SilentDirectory : IServiceDirectory
    {
        private readonly FakeDirectory _fake = new();
        private int _asked;

        public SilentDirectory() => _fake.Publish("svc");

        public int Asked => Volatile.Read(ref _asked);

        public IReadOnlyCollection<ServiceStatus> Services
        {
            get
            {
                Interlocked.Increment(ref _asked);
                throw new NotSupportedException();
            }
        }

        public ServiceSnapshot? GetSnapshot(string serviceName) => _fake.GetSnapshot(serviceName);

        public ServiceStatus GetStatus(string serviceName) => throw new NotSupportedException();

        public ValueTask<ServiceSnapshot> WaitForReadyAsync(string serviceName, CancellationToken cancellationToken = default)
            => _fake.WaitForReadyAsync(serviceName, cancellationToken);

        public IAsyncEnumerable<ServiceSnapshot> SubscribeAsync(string serviceName, CancellationToken cancellationToken = default)
            => _fake.SubscribeAsync(serviceName, cancellationToken);
    }

    private sealed class SilentRegistration : IServiceRegistration
    {
        public ServiceRegistrationStatus Status => throw new NotSupportedException();

        public Task SetWeightAsync(int weight, CancellationToken cancellationToken = default) => Task.CompletedTask;

        public Task ResetWeightAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

        public Task WithdrawAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

        public Task RestoreAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;
    }
}
