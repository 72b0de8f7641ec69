using System.Diagnostics;
using Discovery.FieldTests.Support;
using Grpc.Core;
using Helloworld;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>Calls to a service that has no instance yet.</summary>
public sealed class FirstInstanceTests
{
    [Fact]
    public async Task A_call_waits_for_the_first_instance()
    {
        await using var field = await Field.StartAsync();
        using var client = field.Client(static o => o.ReadyTimeout = TimeSpan.FromSeconds(60));

        var call = client.GetStringAsync("x");
        await Task.Delay(TimeSpan.FromMilliseconds(300));
        Assert.False(call.IsCompleted);
        var server = await field.StartServerAsync();

        Assert.Equal(server.Address, await call.WaitAsync(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task A_call_waits_for_the_first_instance_that_the_settings_select()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync(metadata: "\"version\":\"1\"");
        using var client = field.Client(static o => (o.ReadyTimeout, o.Select.Version) = (TimeSpan.FromSeconds(60), "2"));

        var call = client.GetStringAsync("x");
        await Task.Delay(TimeSpan.FromMilliseconds(300));
        Assert.False(call.IsCompleted);
        var server = await field.StartServerAsync(metadata: "\"version\":\"2\"");

        Assert.Equal(server.Address, await call.WaitAsync(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task After_one_wait_in_vain_calls_fail_at_once_until_there_is_an_instance()
    {
        await using var field = await Field.StartAsync();
        using var client = field.Client(static o => o.ReadyTimeout = TimeSpan.FromSeconds(1));

        // A cold process may need longer than the wait for its first list; until then calls say that.
        await Eventually.IsTrue(async () =>
        {
            var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));
            return e.Message.Contains("no instance", StringComparison.Ordinal);
        });
        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));

        var clock = Stopwatch.StartNew();
        for (var i = 0; i < 20; i++)
        {
            var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));
            Assert.Contains("no instance", e.Message, StringComparison.Ordinal);
        }

        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(10));
        var server = await field.StartServerAsync();
        await Eventually.IsTrue(async () =>
        {
            try
            {
                return await client.GetStringAsync("x") == server.Address;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
    }

    [Fact]
    public async Task The_deadline_ends_the_wait()
    {
        await using var field = await Field.StartAsync();
        var services = field.Application(
            static s => s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service), static o => o.ReadyTimeout = TimeSpan.FromSeconds(60));
        var client = services.GetRequiredService<Greeter.GreeterClient>();

        var e = await Assert.ThrowsAsync<RpcException>(async () =>
            await client.SayHelloAsync(new HelloRequest(), deadline: DateTime.UtcNow.AddMilliseconds(500)));

        Assert.Equal(StatusCode.DeadlineExceeded, e.StatusCode);
    }

    [Fact]
    public async Task Each_client_waits_as_long_as_it_was_told()
    {
        await using var field = await Field.StartAsync();
        var services = field.Application(static s =>
        {
            s.AddHttpClient("slow").AddEtcdDiscovery(Field.Service, static o => o.ReadyTimeout = TimeSpan.FromSeconds(60));
            s.AddHttpClient("fast").AddEtcdDiscovery(Field.Service, static o => o.ReadyTimeout = TimeSpan.FromMilliseconds(300));
        });
        var factory = services.GetRequiredService<IHttpClientFactory>();
        using var slow = factory.CreateClient("slow");
        using var fast = factory.CreateClient("fast");

        var patient = slow.GetStringAsync("x");
        await Assert.ThrowsAsync<HttpRequestException>(() => fast.GetStringAsync("x").WaitAsync(TimeSpan.FromSeconds(30)));

        Assert.False(patient.IsCompleted);
        var server = await field.StartServerAsync();
        Assert.Equal(server.Address, await patient);
    }

    [Fact]
    public async Task Without_etcd_one_call_waits_and_the_next_ones_fail_at_once()
    {
        await using var field = await Field.StartAsync();
        var services = new ServiceCollection();
        services.AddEtcdClient(static o => o.Endpoints = [$"http://{Field.DeadAddress(1)}"]);
        services.AddHttpClient("client").AddEtcdDiscovery(Field.Service, static o => o.ReadyTimeout = TimeSpan.FromSeconds(1));
        await using var provider = services.BuildServiceProvider();
        using var client = provider.GetRequiredService<IHttpClientFactory>().CreateClient("client");
        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));

        var clock = Stopwatch.StartNew();
        for (var i = 0; i < 20; i++)
        {
            var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));
            Assert.Contains("Etcd:Endpoints", e.Message, StringComparison.Ordinal);
        }

        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(10));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Calls_with_less_time_than_the_wait_are_told_what_is_missing_once_it_was_in_vain(bool isEtcdThere)
    {
        await using var field = await Field.StartAsync();
        var services = new ServiceCollection();
        services.AddEtcdClient(o => o.Endpoints = [isEtcdThere ? field.Etcd : $"http://{Field.DeadAddress(1)}"]);

        // The time of a call is less than the wait, and enough for a busy machine to tell at once.
        services.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service, static o => o.ReadyTimeout = TimeSpan.FromSeconds(5));
        await using var provider = services.BuildServiceProvider();
        var client = provider.GetRequiredService<Greeter.GreeterClient>();

        await Eventually.IsTrue(async () =>
        {
            var e = await Assert.ThrowsAsync<RpcException>(async () =>
                await client.SayHelloAsync(new HelloRequest(), deadline: DateTime.UtcNow.AddSeconds(2)));
            return e.StatusCode == StatusCode.Unavailable && e.Status.Detail.Contains(isEtcdThere ? "no instance" : "Etcd:Endpoints", StringComparison.Ordinal);
        });
    }
}
