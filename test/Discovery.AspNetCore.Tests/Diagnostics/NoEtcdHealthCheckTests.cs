using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace Discovery.AspNetCore.Tests.Diagnostics;

/// <summary>The check of etcd in applications that have no endpoints.</summary>
public sealed class NoEtcdHealthCheckTests
{
    [Theory]
    [InlineData("Etcd:Registration:Enabled", "false", "No etcd is needed here: Etcd:Endpoints is empty")]
    [InlineData("Etcd:Discovery:Services:orders:Instances", "127.0.0.1:9", "No etcd is needed here: Etcd:Endpoints is empty")]
    [InlineData("Etcd:Clusters:dc2:Registration:Enabled", "false", "No etcd is needed here: Etcd:Clusters:dc2:Endpoints is empty")]
    public async Task Where_the_settings_leave_etcd_out_it_is_healthy_and_says_so(string setting, string value, string expected)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection([new("Etcd:Registration:ServiceName", "greeter"), new(setting, value)]);
        var services = builder.Services;
        if (setting.StartsWith("Etcd:Registration", StringComparison.Ordinal))
        {
            services.AddEtcdRegistration().AddHealthChecks().AddEtcd();
        }
        else if (setting.StartsWith("Etcd:Clusters", StringComparison.Ordinal))
        {
            services.AddKeyedEtcdRegistration("dc2").AddHealthChecks().AddKeyedEtcd("dc2", "etcd");
        }
        else
        {
            services.AddHttpClient("orders").AddEtcdDiscovery();
            services.AddHealthChecks().AddEtcd();
        }

        using var host = builder.Build();
        await host.StartAsync();

        var entry = await CheckAsync(host.Services, "etcd");

        Assert.Equal(HealthStatus.Healthy, entry.Status);
        Assert.StartsWith(expected, entry.Description, StringComparison.Ordinal);
        await host.StopAsync();
    }

    [Theory]
    [InlineData(null, "Something here uses etcd, but Etcd:Endpoints is empty")]
    [InlineData("dc2", "Something here uses the cluster dc2, but Etcd:Clusters:dc2:Endpoints is empty")]
    public async Task A_look_up_that_was_refused_for_want_of_endpoints_shows_in_the_check_of_its_cluster_alone(string? cluster, string expected)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(
        [
            new("Etcd:Discovery:Services:orders:Instances", "127.0.0.1:9"), new("Etcd:Clusters:dc2:Registration:Enabled", "false"),
        ]);
        builder.Services.AddHttpClient("orders").AddEtcdDiscovery();
        builder.Services.AddKeyedEtcdRegistration("dc2");
        builder.Services.AddHealthChecks().AddEtcd("etcd").AddKeyedEtcd("dc2", "etcd-dc2");
        using var host = builder.Build();
        await host.StartAsync();
        var (name, other) = cluster is null ? ("etcd", "etcd-dc2") : ("etcd-dc2", "etcd");
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(host.Services, name)).Status);
        var directory = cluster is null
            ? host.Services.GetRequiredService<IServiceDirectory>()
            : host.Services.GetRequiredKeyedService<IServiceDirectory>(cluster);

        await Assert.ThrowsAnyAsync<Exception>(() => directory.WaitForReadyAsync("greeter").AsTask());

        var entry = await CheckAsync(host.Services, name);
        Assert.Equal(HealthStatus.Degraded, entry.Status);
        Assert.StartsWith(expected, entry.Description, StringComparison.Ordinal);
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(host.Services, other)).Status);
        await host.StopAsync();
    }

    [Theory]
    [InlineData(null, "Etcd:Endpoints is empty")]
    [InlineData("dc2", "Etcd:Clusters:dc2:Endpoints is empty")]
    public async Task A_cluster_that_is_there_only_to_be_checked_needs_endpoints(string? cluster, string expected)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection([new(cluster is null ? "Unused" : "Etcd:Endpoints", "http://127.0.0.1:9")]);
        var checks = builder.Services.AddHealthChecks();
        _ = cluster is null ? checks.AddEtcd() : checks.AddKeyedEtcd(cluster);
        using var host = builder.Build();

        var e = await Assert.ThrowsAnyAsync<Exception>(() => host.StartAsync());

        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    private static async Task<HealthReportEntry> CheckAsync(IServiceProvider services, string name)
    {
        var report = await services.GetRequiredService<HealthCheckService>().CheckHealthAsync(r => r.Name == name);
        return report.Entries[name];
    }
}
