using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.AspNetCore.ServiceDiscovery.Tests;

/// <summary>Where etcd has nothing, or is not there.</summary>
public sealed class EmptyTests : DirectoryTestBase
{
    [Fact]
    public async Task A_service_without_an_instance_is_left_to_dns_until_it_has_one()
    {
        Assert.NotEqual(["127.0.0.1:5001"], await ResolveAsync("http://greeter"));
        Assert.True(Log.Has(LogLevel.Information, "http://greeter", "services/greeter/"));

        await PutAsync("greeter", "127.0.0.1:5001");
        await Resolves("http://greeter", "127.0.0.1:5001");
    }

    [Fact]
    public async Task A_service_without_an_instance_can_fail_and_says_where_was_looked()
    {
        Settings["Etcd:ServiceDiscovery:WhenEmpty"] = "Fail";
        await Client.PutAsync("services/greeter/x", "no record"u8.ToArray());

        var failure = await Assert.ThrowsAsync<ServiceDiscoveryException>(() => ResolveAsync("http://greeter"));

        Assert.Contains("'services/greeter/'", failure.Message, StringComparison.Ordinal);
        Assert.Contains("1 records", failure.Message, StringComparison.Ordinal);
        await PutAsync("greeter", "127.0.0.1:5001");
        await Eventually.IsTrue(async () =>
        {
            try
            {
                return (await ResolveAsync("http://greeter")).SequenceEqual(["127.0.0.1:5001"]);
            }
            catch (ServiceDiscoveryException)
            {
                return false;
            }
        });
    }

    [Fact]
    public async Task Instances_that_do_not_fit_are_told_from_a_service_without_any()
    {
        Settings["Etcd:ServiceDiscovery:WhenEmpty"] = "Fail";
        await PutAsync("greeter", "127.0.0.1:5001", new { scheme = "http" });

        var failure = await Assert.ThrowsAsync<ServiceDiscoveryException>(() => ResolveAsync("https://greeter"));

        Assert.Contains("None of the 1 instances", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_etcd_at_the_start_names_of_others_work_and_services_come_with_etcd()
    {
        await PutAsync("greeter", "127.0.0.1:5001");
        Settings["Etcd:Discovery:ReadyTimeout"] = "00:00:00.5";
        Etcd.Pause();

        var clock = Stopwatch.StartNew();
        Assert.Single(await ResolveAsync("http://greeter"));
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(5));
        Assert.True(Log.Has(LogLevel.Warning, "http://greeter", Etcd.Endpoint));

        Etcd.Resume();
        await Resolves("http://greeter", "127.0.0.1:5001");
    }

    [Fact]
    public async Task An_outage_changes_nothing()
    {
        await PutAsync("greeter", "127.0.0.1:5001");
        await Resolves("http://greeter", "127.0.0.1:5001");

        Etcd.Pause();
        Etcd.DropConnections();
        await Eventually.IsTrue(() => !Services.GetRequiredService<IServiceDirectory>().GetStatus("greeter").IsConnected);

        // Another authority has a provider of its own, which asks anew.
        Assert.Equal(["127.0.0.1:5001"], await ResolveAsync("http://greeter"));
        Assert.Equal(["127.0.0.1:5001"], await ResolveAsync("https+http://greeter"));

        Etcd.Resume();
        await PutAsync("greeter", "127.0.0.1:5002");
        await Resolves("http://greeter", "127.0.0.1:5001", "127.0.0.1:5002");
    }

    [Fact]
    public async Task Switched_off_it_needs_no_etcd()
    {
        Settings.Remove("Etcd:Endpoints");
        Settings["Etcd:ServiceDiscovery:Enabled"] = "false";
        Settings["Services:greeter:http:0"] = "http://127.0.0.1:6001";

        foreach (var hosted in Services.GetServices<Microsoft.Extensions.Hosting.IHostedService>())
        {
            await hosted.StartAsync(CancellationToken.None);
        }

        Services.GetRequiredService<Microsoft.Extensions.Options.IStartupValidator>().Validate();
        Assert.Equal(["http://127.0.0.1:6001"], await ResolveAsync("http://greeter"));
    }

    [Fact]
    public void Without_endpoints_the_start_says_which_setting_is_missing()
    {
        Settings.Remove("Etcd:Endpoints");

        var failure = Assert.Throws<Microsoft.Extensions.Options.OptionsValidationException>(
            () => Services.GetRequiredService<Microsoft.Extensions.Options.IStartupValidator>().Validate());

        Assert.Contains("Etcd:Endpoints", failure.Message, StringComparison.Ordinal);
    }
}
