using Discovery.EmbeddedEtcd;
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
