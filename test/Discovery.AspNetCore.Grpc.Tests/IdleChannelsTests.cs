using System.Runtime.CompilerServices;
using Discovery.EmbeddedEtcd;
using Grpc.Core;
using Grpc.Net.Client;
using Helloworld;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Peers.V1;

namespace Discovery.AspNetCore.Grpc.Tests;

/// <summary>A channel that nobody uses is not kept for ever, for its name may be from a URL, and works whenever somebody does.</summary>
public sealed class IdleChannelsTests : IAsyncLifetime
{
    private static readonly TimeSpan LongTime = TimeSpan.FromMinutes(30);

    private readonly FakeTimeProvider _clock = new();
    private EmbeddedEtcdServer _etcd = null!;

    public async Task InitializeAsync() => _etcd = await EmbeddedEtcdServer.StartAsync();

    public Task DisposeAsync() => _etcd.DisposeAsync().AsTask();

    [Fact]
    public async Task Five_hundred_names_that_nobody_has_leave_no_watch_and_no_channel_behind()
    {
        await using var services = Services();
        var channels = services.GetRequiredService<IEtcdGrpcChannels>();
        var directory = services.GetRequiredService<IServiceDirectory>();
        var made = await Task.WhenAll(Enumerable.Range(0, 500).Select(i => CallInVainAsync(channels, $"typo{i}")));
        Assert.Equal(500, directory.Services.Count);

        // A call whose deadline passed fails for its caller at once, and has ended a moment later.
        await Eventually.IsTrue(() =>
        {
            Pass(LongTime);
            return directory.Services.Count == 0;
        });
        await Eventually.IsTrue(() =>
        {
            GC.Collect();
            return Array.TrueForAll(made, static c => !c.IsAlive);
        });
    }

    [Fact]
    public async Task A_channel_that_was_kept_in_a_field_works_after_a_long_time_without_calls()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var services = Services(("greeter", server.Address));
        var channels = services.GetRequiredService<IEtcdGrpcChannels>();
        var kept = channels.GetChannel("greeter");
        Assert.Same(kept, channels.GetChannel("greeter"));
        await GreetAsync(kept);

        Pass(LongTime);
        var next = channels.GetChannel("greeter");
        Assert.NotSame(kept, next);

        foreach (var channel in new[] { kept, next, kept })
        {
            Assert.Equal($"a {server.Port}", await GreetAsync(channel));
        }
    }

    [Fact]
    public async Task A_channel_that_somebody_asks_for_now_and_then_stays_the_same()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var services = Services(("greeter", server.Address));
        var channels = services.GetRequiredService<IEtcdGrpcChannels>();
        var first = channels.GetChannel("greeter");

        for (var i = 0; i < 5; i++)
        {
            Pass(TimeSpan.FromMinutes(9));
            Assert.Same(first, channels.GetChannel("greeter"));
        }
    }

    [Fact]
    public async Task The_channel_of_a_service_that_has_a_client_stays_the_same()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var services = Services(static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>("greeter"), ("greeter", server.Address));
        var channels = services.GetRequiredService<IEtcdGrpcChannels>();
        var first = channels.GetChannel("greeter");

        Pass(LongTime);

        Assert.Same(first, channels.GetChannel("greeter"));
        Assert.Equal($"a {server.Port}", (await services.GetRequiredService<Greeter.GreeterClient>().SayHelloAsync(new HelloRequest { Name = "a" })).Message);
    }

    [Fact]
    public async Task A_stream_is_not_cut_however_long_it_is_silent()
    {
        await using var server = await InteropServer.StartAsync(etcd: null);
        await using var services = Services((InteropServer.ServiceName, server.Address));
        var channel = services.GetRequiredService<IEtcdGrpcChannels>().GetChannel(InteropServer.ServiceName);
        using var stream = new Interop.InteropClient(channel).Chat();
        Assert.Equal("a", await ChatAsync(stream, "a"));

        Pass(LongTime);

        Assert.Equal("b", await ChatAsync(stream, "b"));
        Assert.Same(channel, services.GetRequiredService<IEtcdGrpcChannels>().GetChannel(InteropServer.ServiceName));
    }

    [Fact]
    public async Task The_channels_of_instances_are_there_at_once_however_rarely_they_are_asked_for()
    {
        await using var server = await GreeterServer.StartAsync(_etcd.Endpoint);
        await using var services = Services(("greeter", server.Address));
        var channels = services.GetRequiredService<IEtcdGrpcChannels>();
        var first = Assert.Single(channels.GetChannels("greeter"));

        Pass(LongTime);

        var next = Assert.Single(channels.GetChannels("greeter"));
        Assert.Same(first.Channel, next.Channel);
        Assert.Equal($"a {server.Port}", await GreetAsync(next.Channel));
    }

    private static async Task<string> GreetAsync(GrpcChannel channel)
        => (await new Greeter.GreeterClient(channel).SayHelloAsync(new HelloRequest { Name = "a" })).Message;

    private static async Task<string> ChatAsync(AsyncDuplexStreamingCall<Message, Message> stream, string text)
    {
        await stream.RequestStream.WriteAsync(new Message { Text = text });
        Assert.True(await stream.ResponseStream.MoveNext(CancellationToken.None));
        return stream.ResponseStream.Current.Text;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<WeakReference> CallInVainAsync(IEtcdGrpcChannels channels, string name)
    {
        var channel = channels.GetChannel(name);
        var call = new Greeter.GreeterClient(channel).SayHelloAsync(new HelloRequest(), deadline: DateTime.UtcNow.AddSeconds(1));
        await Assert.ThrowsAsync<RpcException>(async () => await call);
        return new WeakReference(channel);
    }

    private ServiceProvider Services(params (string Service, string Address)[] instances) => Services(static _ => { }, instances);

    /// <summary>Clients on a clock that does not go by itself. The instances are in the settings, so that no limit of time concerns their discovery.</summary>
    private ServiceProvider Services(Action<IServiceCollection> add, params (string Service, string Address)[] instances)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(
            instances.Select(static i => KeyValuePair.Create($"Etcd:Discovery:Services:{i.Service}:Instances:0", (string?)i.Address))).Build());
        services.AddKeyedSingleton<TimeProvider>(EtcdServiceKeys.TimeProvider, _clock);
        services.AddEtcdClient(o => o.Endpoints = [_etcd.Endpoint]);
        services.AddEtcdGrpcChannels();
        add(services);
        return services.BuildServiceProvider();
    }

    /// <summary>Lets time pass as a clock does.</summary>
    private void Pass(TimeSpan time)
    {
        for (var minutes = 0; minutes < time.TotalMinutes; minutes++)
        {
            _clock.Advance(TimeSpan.FromMinutes(1));
        }
    }
}
