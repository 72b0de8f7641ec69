using Discovery.EmbeddedEtcd;
using Discovery.Etcd;
using Grpc.Core;
using Helloworld;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Grpc.Tests;

/// <summary>A call to each instance of a service.</summary>
public sealed class InstanceChannelsTests : IAsyncLifetime
{
    private EmbeddedEtcdServer _etcd = null!;

    public async Task InitializeAsync() => _etcd = await EmbeddedEtcdServer.StartAsync();

    public Task DisposeAsync() => _etcd.DisposeAsync().AsTask();

    [Fact]
    public async Task Each_instance_has_a_channel_that_reaches_it_and_no_other_for_as_long_as_it_is_there()
    {
        var first = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var second = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var services = new ServiceCollection()
            .AddEtcdClient(o => o.Endpoints = [_etcd.Endpoint]).AddEtcdGrpcChannels().BuildServiceProvider();
        var channels = services.GetRequiredService<IEtcdGrpcChannels>();

        await Eventually.IsTrue(() => channels.GetChannels("greeter").Count == 2);
        var before = channels.GetChannels("greeter");
        foreach (var channel in before)
        {
            for (var i = 0; i < 5; i++)
            {
                Assert.Equal($"a {channel.Instance.Port}", await GreetAsync(channel));
            }
        }

        Assert.Equal(
            before.Select(static c => c.Channel).ToHashSet(), channels.GetChannels("greeter").Select(static c => c.Channel).ToHashSet());

        await using var third = await GreeterServer.StartAsync(_etcd.Endpoint);
        await Eventually.IsTrue(() => channels.GetChannels("greeter").Count == 3);
        var gone = before.Single(c => c.Instance.Address == first.Address);
        await first.DisposeAsync();
        await Eventually.IsTrue(() => channels.GetChannels("greeter").Count == 2);

        Assert.DoesNotContain(channels.GetChannels("greeter"), c => c.Instance.Address == gone.Instance.Address);
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => GreetAsync(gone))).StatusCode);
        var stayed = before.Single(c => c.Instance.Address == second.Address);
        Assert.Same(stayed.Channel, channels.GetChannels("greeter").Single(c => c.Instance.Address == second.Address).Channel);
    }

    [Fact]
    public async Task Addresses_that_no_grpc_call_could_go_to_have_no_channel()
    {
        await using var etcd = new EtcdClient(new EtcdClientOptions { Endpoints = [_etcd.Endpoint] });
        foreach (var (address, metadata) in new[] { ("127.0.0.1:1", """{"protocols":"h1"}"""), ("127.0.0.1:2", """{"scheme":"https"}""") })
        {
            await etcd.PutAsync(
                $"services/greeter/{address}", System.Text.Encoding.UTF8.GetBytes($$"""{"Op":0,"Addr":"{{address}}","Metadata":{{metadata}}}"""));
        }

        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var services = new ServiceCollection()
            .AddEtcdClient(o => o.Endpoints = [_etcd.Endpoint]).AddEtcdGrpcChannels().BuildServiceProvider();
        var channels = services.GetRequiredService<IEtcdGrpcChannels>();

        // It was registered last, so all three are known with it.
        await Eventually.IsTrue(() => channels.GetChannels("greeter").Any(c => c.Instance.Address == server.Address));

        Assert.Single(channels.GetChannels("greeter"));
    }

    [Fact]
    public async Task Instances_that_the_service_does_not_select_have_no_channel()
    {
        await using var etcd = new EtcdClient(new EtcdClientOptions { Endpoints = [_etcd.Endpoint] });
        foreach (var (address, version) in new[] { ("127.0.0.1:1", "v1"), ("127.0.0.1:2", "v2") })
        {
            await etcd.PutAsync(
                $"services/greeter/{address}",
                System.Text.Encoding.UTF8.GetBytes($$$"""{"Op":0,"Addr":"{{{address}}}","Metadata":{"version":"{{{version}}}"}}"""));
        }

        await using var services = new ServiceCollection()
            .AddEtcdClient(o => o.Endpoints = [_etcd.Endpoint])
            .AddEtcdDiscovery(static o => o.Select.Version = "v2")
            .AddEtcdGrpcChannels().BuildServiceProvider();
        var channels = services.GetRequiredService<IEtcdGrpcChannels>();

        await Eventually.IsTrue(() => channels.GetChannels("greeter").Count > 0);

        Assert.Equal("127.0.0.1:2", Assert.Single(channels.GetChannels("greeter")).Instance.Address);
    }

    [Fact]
    public async Task Channels_by_the_key_of_a_cluster_go_to_the_instances_there()
    {
        await using var there = await EmbeddedEtcdServer.StartAsync();
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var other = await GreeterServer.StartAsync(there.Endpoint);
        await using var services = new ServiceCollection()
            .AddEtcdClient(o => o.Endpoints = [_etcd.Endpoint])
            .AddKeyedEtcdClient("dc2", o => o.Endpoints = [there.Endpoint])
            .AddEtcdGrpcChannels()
            .BuildServiceProvider();
        foreach (var (channels, address) in new[]
        {
            (services.GetRequiredService<IEtcdGrpcChannels>(), server.Address),
            (services.GetRequiredKeyedService<IEtcdGrpcChannels>("dc2"), other.Address),
        })
        {
            await Eventually.IsTrue(() => channels.GetChannels("greeter").Count == 1);
            Assert.Equal(address, channels.GetChannels("greeter")[0].Instance.Address);
        }
    }

    [Fact]
    public async Task A_service_without_instances_has_no_channels_and_a_wrong_name_is_refused()
    {
        await using var services = new ServiceCollection()
            .AddEtcdClient(o => o.Endpoints = [_etcd.Endpoint]).AddEtcdGrpcChannels().BuildServiceProvider();
        var channels = services.GetRequiredService<IEtcdGrpcChannels>();

        Assert.Empty(channels.GetChannels("nobody"));
        Assert.Throws<ArgumentException>(() => channels.GetChannels("a/b"));
    }

    private static async Task<string> GreetAsync(EtcdInstanceChannel channel)
        => (await new Greeter.GreeterClient(channel.Channel).SayHelloAsync(new HelloRequest { Name = "a" })).Message;
}
