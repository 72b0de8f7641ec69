using Discovery.Etcd.DotnetEtcd.Tests.Support;
using Etcdserverpb;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using dotnet_etcd.interfaces;

namespace Discovery.Etcd.DotnetEtcd.Tests;

/// <summary>dotnet-etcd's client in an application's services.</summary>
public sealed class AddDotnetEtcdTests(EmbeddedBackend backend) : IClassFixture<EmbeddedBackend>
{
    private readonly string _key = Backend.NewPrefix() + "a";

    [Fact]
    public async Task It_uses_the_settings_of_the_section_Etcd()
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection([new("Etcd:Endpoints:0", backend.Endpoint)]).Build());
        services.AddEtcdClient();
        services.AddDotnetEtcd();
        await using var provider = services.BuildServiceProvider();

        await provider.GetRequiredService<IEtcdClient>().PutAsync(_key, "1");

        Assert.Equal("1", (await backend.Direct.GetValAsync(_key)));
    }

    [Fact]
    public async Task It_works_with_options_set_in_code_alone()
    {
        var services = new ServiceCollection();
        services.AddDotnetEtcd(etcd => etcd.Endpoints = [backend.Endpoint]);
        await using var provider = services.BuildServiceProvider();

        await provider.GetRequiredService<IEtcdClient>().PutAsync(_key, "1");

        Assert.Equal("1", (await backend.Direct.GetValAsync(_key)));
        Assert.NotNull(await provider.GetRequiredService<EtcdClient>().GetAsync(_key));
    }

    [Fact]
    public async Task Options_set_in_code_reach_the_client_that_others_share()
    {
        var services = new ServiceCollection();
        services.AddEtcdClient();
        services.AddDotnetEtcd(etcd => etcd.Endpoints = [backend.Endpoint]);
        await using var provider = services.BuildServiceProvider();

        Assert.Equal([new Uri(backend.Endpoint)], provider.GetRequiredService<EtcdClient>().Endpoints);
        Assert.Single(services, d => d.ServiceType == typeof(EtcdClient));
    }

    [Fact]
    public async Task It_is_one_client_with_its_watch_manager()
    {
        var services = new ServiceCollection();
        services.AddDotnetEtcd(etcd => etcd.Endpoints = [backend.Endpoint]).AddDotnetEtcd();
        await using var provider = services.BuildServiceProvider();

        var client = provider.GetRequiredService<IEtcdClient>();

        Assert.Same(client, provider.GetRequiredService<IEtcdClient>());
        Assert.Same(((dotnet_etcd.EtcdClient)client).GetWatchManager(), provider.GetRequiredService<IWatchManager>());
    }

    [Fact]
    public async Task A_client_that_was_registered_before_stays()
    {
        using var own = new dotnet_etcd.EtcdClient(backend.Endpoint);
        var services = new ServiceCollection();
        services.AddSingleton<IEtcdClient>(own);
        services.AddDotnetEtcd(etcd => etcd.Endpoints = [backend.Endpoint]);
        await using var provider = services.BuildServiceProvider();

        Assert.Same(own, provider.GetRequiredService<IEtcdClient>());
    }

    [Fact]
    public async Task Without_a_client_to_build_upon_it_says_what_to_call()
    {
        await using var provider = new ServiceCollection().AddDotnetEtcd().BuildServiceProvider();

        var error = Assert.Throws<InvalidOperationException>(provider.GetRequiredService<IEtcdClient>);

        Assert.Contains("AddEtcdClient()", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Watches_end_with_the_container()
    {
        var services = new ServiceCollection();
        services.AddDotnetEtcd(etcd => etcd.Endpoints = [backend.Endpoint]);
        var seen = 0;
        var provider = services.BuildServiceProvider();
        await provider.GetRequiredService<IEtcdClient>().WatchAsync(
            new WatchRequest { CreateRequest = new WatchCreateRequest { Key = Google.Protobuf.ByteString.CopyFromUtf8(_key) } },
            (WatchResponse response) => Interlocked.Add(ref seen, response.Events.Count));
        await backend.PutAsync(_key, "1");
        await Eventually.IsTrue(() => Volatile.Read(ref seen) == 1);

        await provider.DisposeAsync();
        await backend.PutAsync(_key, "2");

        Assert.Equal(1, Volatile.Read(ref seen));
    }
}
