using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.ServiceDiscovery;

namespace Discovery.AspNetCore.ServiceDiscovery.Tests;

public sealed class ResolveTests : DirectoryTestBase
{
    [Fact]
    public async Task A_name_has_the_instances_that_stand_in_etcd_and_follows_them()
    {
        await PutAsync("greeter", "127.0.0.1:5001");

        Assert.Equal(["127.0.0.1:5001"], await ResolveAsync("http://greeter"));
        await PutAsync("greeter", "127.0.0.1:5002");
        await Resolves("http://greeter", "127.0.0.1:5001", "127.0.0.1:5002");
        await DeleteAsync("greeter", "127.0.0.1:5001");
        await Resolves("http://greeter", "127.0.0.1:5002");
    }

    [Fact]
    public async Task What_the_configuration_has_comes_before_etcd()
    {
        Settings["Services:greeter:http:0"] = "http://127.0.0.1:6001";
        await PutAsync("greeter", "127.0.0.1:5001");
        await PutAsync("other", "127.0.0.1:5002");

        Assert.Equal(["http://127.0.0.1:6001"], await ResolveAsync("http://greeter"));
        Assert.Equal(["127.0.0.1:5002"], await ResolveAsync("http://other"));
    }

    [Theory]
    [InlineData("Etcd:Discovery:Services:User:Policy", "RoundRobin", "http://user")]
    [InlineData("Etcd:ServiceDiscovery:ServiceNames:people", "User", "http://people")]
    public async Task A_service_with_capitals_is_found(string setting, string value, string name)
    {
        Settings[setting] = value;
        await PutAsync("User", "127.0.0.1:5001");

        Assert.Equal(["127.0.0.1:5001"], await ResolveAsync(name));
    }

    [Fact]
    public async Task A_service_with_capitals_is_found_where_a_client_names_it()
    {
        Configure = static s => s.AddHttpClient("User").AddEtcdDiscovery();
        await PutAsync("User", "127.0.0.1:5001");

        Assert.Equal(["127.0.0.1:5001"], await ResolveAsync("http://user"));
    }

    [Fact]
    public async Task The_first_scheme_that_any_instance_has_is_taken()
    {
        await PutAsync("both", "127.0.0.1:5001", new { scheme = "http" });
        await PutAsync("both", "127.0.0.1:5002", new { scheme = "https" });
        await PutAsync("plain", "127.0.0.1:5003", new { scheme = "http" });

        Assert.Equal(["https://127.0.0.1:5002"], await ResolveAsync("https+http://both"));
        Assert.Equal(["http://127.0.0.1:5003"], await ResolveAsync("https+http://plain"));
        Assert.Equal(["http://127.0.0.1:5001"], await ResolveAsync("http://both"));
    }

    [Fact]
    public async Task An_endpoint_is_found_by_the_name_that_Kestrel_has_for_it()
    {
        await PutAsync("greeter", "127.0.0.1:5001", new { endpoint = "Grpc", scheme = "http" });
        await PutAsync("greeter", "127.0.0.1:5002", new { scheme = "http" });

        Assert.Equal(["http://127.0.0.1:5001"], await ResolveAsync("http://_grpc.greeter"));
        Assert.Equal(["http://127.0.0.1:5002"], await ResolveAsync("http://_http.greeter"));
    }

    [Fact]
    public async Task An_instance_that_drains_is_left_out_unless_all_do()
    {
        await PutAsync("greeter", "127.0.0.1:5001");
        await PutAsync("greeter", "127.0.0.1:5002", new { draining = true });
        await PutAsync("greeter", "127.0.0.1:5003", new { weight = 0 });

        Assert.Equal(["127.0.0.1:5001"], await ResolveAsync("http://greeter"));
        await DeleteAsync("greeter", "127.0.0.1:5001");
        await Resolves("http://greeter", "127.0.0.1:5002", "127.0.0.1:5003");
    }

    [Fact]
    public async Task Held_instances_are_left_out_unless_nothing_else_is_left()
    {
        for (var port = 5001; port <= 5004; port++)
        {
            await PutAsync("greeter", $"127.0.0.1:{port}");
        }

        Assert.Equal(4, (await ResolveAsync("http://greeter")).Length);
        for (var port = 5002; port <= 5004; port++)
        {
            await DeleteAsync("greeter", $"127.0.0.1:{port}");
        }

        var directory = Services.GetRequiredService<IServiceDirectory>();
        await Eventually.IsTrue(() => directory.GetSnapshot("greeter")!.HeldAddresses.Count > 0);
        await Resolves("http://greeter", "127.0.0.1:5001");

        await DeleteAsync("greeter", "127.0.0.1:5001");
        await Eventually.IsTrue(() => directory.GetSnapshot("greeter")!.HeldAddresses.Count == 4);
        await Resolves("http://greeter", "127.0.0.1:5001", "127.0.0.1:5002", "127.0.0.1:5003", "127.0.0.1:5004");
    }

    [Fact]
    public async Task An_address_that_may_not_be_dialled_is_handed_to_nobody()
    {
        await PutAsync("greeter", "169.254.169.254:80");
        await PutAsync("greeter", "127.0.0.1:5001");

        Assert.Equal(["127.0.0.1:5001"], await ResolveAsync("http://greeter"));
        Assert.True(Log.Has(LogLevel.Warning, "169.254.169.254:80", "AllowedNetworks"));
    }

    [Fact]
    public async Task Only_selected_instances_are_handed_out()
    {
        Settings["Etcd:Discovery:Services:greeter:Select:Version"] = "v2";
        await PutAsync("greeter", "127.0.0.1:5001", new { version = "v1" });
        await PutAsync("greeter", "127.0.0.1:5002", new { version = "v2" });

        Assert.Equal(["127.0.0.1:5002"], await ResolveAsync("http://greeter"));
    }

    [Fact]
    public async Task Over_tls_the_host_is_the_name_of_the_service_or_what_the_settings_say()
    {
        Settings["Etcd:Discovery:Services:pinned:TlsTargetHost"] = "pinned.example.com";
        await PutAsync("greeter", "10.0.0.1:443", new { scheme = "https" });
        await PutAsync("greeter", "10.0.0.1:80", new { scheme = "http" });
        await PutAsync("pinned", "10.0.0.1:443", new { scheme = "https" });

        Assert.Equal("greeter", await HostAsync("https://greeter"));
        Assert.Equal("pinned.example.com", await HostAsync("https://pinned"));
        Assert.Null(await HostAsync("http://greeter"));
    }

    [Fact]
    public async Task An_endpoint_has_its_record_as_a_feature()
    {
        await PutAsync("greeter", "127.0.0.1:5001", new { zone = "a", weight = 30 });

        var source = await Resolver.GetEndpointsAsync("http://greeter", CancellationToken.None);

        var instance = Assert.Single(source.Endpoints).Features.Get<IServiceInstanceFeature>()!.Instance;
        Assert.Equal(("a", 30), (instance.Zone, instance.Weight));
    }

    [Theory]
    [InlineData("http://localhost")]
    [InlineData("http://10.0.0.1")]
    [InlineData("http://[::1]")]
    public async Task Addresses_are_not_looked_for_in_etcd(string name)
    {
        await Resolver.GetEndpointsAsync(name, CancellationToken.None);

        Assert.Empty(Services.GetRequiredService<IServiceDirectory>().Services);
    }

    [Fact]
    public async Task Names_that_are_not_listed_can_be_left_to_dns()
    {
        Settings["Etcd:ServiceDiscovery:OnlyListedServices"] = "true";
        Settings["Etcd:Discovery:Services:greeter:Policy"] = "RoundRobin";
        await PutAsync("greeter", "127.0.0.1:5001");
        await PutAsync("other", "127.0.0.1:5002");

        Assert.Equal(["127.0.0.1:5001"], await ResolveAsync("http://greeter"));
        Assert.Equal(["other:80"], [.. (await ResolveAsync("http://other")).Select(static e => e.Replace("Unspecified/", "", StringComparison.Ordinal))]);
        Assert.Equal(["greeter"], Services.GetRequiredService<IServiceDirectory>().Services.Select(static s => s.ServiceName));
    }

    private async Task<string?> HostAsync(string name)
    {
        var source = await Resolver.GetEndpointsAsync(name, CancellationToken.None);
        return Assert.Single(source.Endpoints).Features.Get<IHostNameFeature>()?.HostName;
    }
}
