using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.SessionAffinity;

namespace Discovery.AspNetCore.Yarp.Tests;

/// <summary>Requests for which YARP asks no policy, as one destination is left: by session affinity, or because there is no other.</summary>
public sealed class PinnedRequestTests : ProxyTestBase
{
    private static readonly TimeSpan LongTime = TimeSpan.FromMinutes(10);

    private readonly TaskCompletionSource _release = new();

    [Fact]
    public async Task Requests_of_a_sticky_client_are_under_way_as_any_others()
    {
        await StartServerAsync(answer: AnswerAsync);
        await StartServerAsync(answer: AnswerAsync);
        var proxy = await StartStickyProxyAsync();
        using var sticky = ClientOf(proxy);
        var (_, port) = await GetAsync(sticky);
        var balancer = BalancerOf(proxy);

        var held = Enumerable.Range(0, 100).Select(_ => GetAsync(sticky, "/held")).ToList();
        await Eventually.IsTrue(() => balancer.InFlight == 100);
        Assert.Equal(100, balancer.Instances.Single(i => i.Record.Port == int.Parse(port)).InFlight);
        for (var i = 0; i < 10; i++)
        {
            using var other = ClientOf(proxy);
            Assert.NotEqual(port, (await GetAsync(other)).Text);
        }

        _release.SetResult();
        await Task.WhenAll(held);
        await Eventually.IsTrue(() => balancer.InFlight == 0);
        Assert.Equal(111, balancer.Instances.Sum(static i => i.Calls));
    }

    [Fact]
    public async Task Requests_to_the_only_server_are_under_way_as_any_others()
    {
        await StartServerAsync(answer: AnswerAsync);
        var proxy = await StartProxyAsync(policy: EtcdLoadBalancingPolicies.LeastLoad.ToLowerInvariant());
        using var client = ClientOf(proxy);
        var balancer = BalancerOf(proxy);

        var held = Enumerable.Range(0, 20).Select(_ => GetAsync(client, "/held")).ToList();
        await Eventually.IsTrue(() => balancer.InFlight == 20);

        _release.SetResult();
        await Task.WhenAll(held);
        await Eventually.IsTrue(() => balancer.InFlight == 0);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(client)).Status);
        await Eventually.IsTrue(() => Assert.Single(balancer.Instances) is { Calls: 21, Latency.Ticks: > 0 });
    }

    [Fact]
    public async Task The_live_state_of_servers_that_came_and_went_one_by_one_is_not_kept()
    {
        var proxy = await StartProxyAsync(policy: EtcdLoadBalancingPolicies.LeastLoad);
        using var client = ClientOf(proxy);
        for (var i = 0; i < 3; i++)
        {
            var server = await StartServerAsync(answer: AnswerAsync);
            await Eventually.IsTrue(async () => (await GetAsync(client)).Text == Port(server));
            Assert.Equal(int.Parse(Port(server)), Assert.Single(BalancerOf(proxy).Instances).Record.Port);
            await server.StopAsync();
            await Eventually.IsTrue(() => Destinations(proxy).Count == 0);
        }
    }

    [Fact]
    public async Task A_server_that_fails_its_sticky_clients_gets_no_new_ones()
    {
        await StartServerAsync(answer: AnswerAsync);
        await StartServerAsync(answer: AnswerAsync);
        var proxy = await StartStickyProxyAsync();
        using var sticky = ClientOf(proxy);
        var (_, port) = await GetAsync(sticky);

        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync(sticky, "/broken")).Status);
        }

        for (var i = 0; i < 20; i++)
        {
            using var other = ClientOf(proxy);
            Assert.NotEqual(port, (await GetAsync(other)).Text);
        }

        // YARP lets affinity decide before the policy is asked.
        Assert.Equal(port, (await GetAsync(sticky)).Text);
    }

    [Fact]
    public async Task What_a_sticky_client_asks_for_in_vain_ejects_nobody()
    {
        await StartServerAsync(answer: AnswerAsync);
        await StartServerAsync(answer: AnswerAsync);
        var proxy = await StartStickyProxyAsync();
        using var lost = ClientOf(proxy);
        var (_, port) = await GetAsync(lost);
        using var served = await OtherClientAsync(proxy, port);

        for (var i = 0; i < 100; i++)
        {
            Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(lost, "/missing")).Status);
            Assert.Equal(HttpStatusCode.OK, (await GetAsync(served)).Status);
        }

        Assert.All(BalancerOf(proxy).Instances, static i => Assert.True(i is { IsEjected: false, FailureRate: 0 }, $"{i}: {i.FailureRate}"));
    }

    /// <summary>The error of the first attempt stays with the request.</summary>
    [Fact]
    public async Task Of_servers_that_a_middleware_tries_in_turn_each_is_counted_by_its_own_answer()
    {
        await StartServerAsync(static o => o.AdvertisedUrls.Add("http://127.0.0.1:1"));
        var works = await StartServerAsync(answer: AnswerAsync);
        var proxy = await StartProxyAsync(policy: EtcdLoadBalancingPolicies.LeastLoad, configure: EjectAtOnce, pipeline: static pipeline =>
        {
            pipeline.Use(static async (context, next) =>
            {
                var feature = context.GetReverseProxyFeature();
                foreach (var destination in feature.AllDestinations.OrderBy(static d => new Uri(d.Model.Config.Address).Port))
                {
                    context.Response.Clear();
                    feature.AvailableDestinations = destination;
                    await next();
                    if (context.Response.StatusCode == StatusCodes.Status200OK)
                    {
                        return;
                    }
                }
            });
            pipeline.UseLoadBalancing();
        });
        await Eventually.IsTrue(() => Destinations(proxy).Count == 2);
        using var client = ClientOf(proxy);
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal((HttpStatusCode.OK, Port(works)), await GetAsync(client));
        }

        var balancer = BalancerOf(proxy);
        await Eventually.IsTrue(() => balancer.InFlight == 0);
        Assert.True(balancer.Instances.Single(static i => i.Record.Port == 1).IsEjected);
        Assert.True(balancer.Instances.Single(static i => i.Record.Port != 1) is { IsEjected: false, FailureRate: 0, Latency.Ticks: > 0 });
    }

    [Fact]
    public async Task A_server_that_lets_the_timeout_of_the_route_pass_gets_no_new_clients()
    {
        await StartServerAsync(answer: AnswerAsync);
        await StartServerAsync(answer: AnswerAsync);
        var proxy = await StartStickyProxyAsync(TimeSpan.FromMilliseconds(300));
        using var sticky = ClientOf(proxy);
        var port = "";
        await Eventually.IsTrue(async () =>
        {
            (var status, port) = await GetAsync(sticky);
            return status == HttpStatusCode.OK;
        });
        var instance = BalancerOf(proxy).Instances.Single(i => i.Record.Port == int.Parse(port));

        await Eventually.IsTrue(async () =>
        {
            Assert.NotEqual(HttpStatusCode.OK, (await GetAsync(sticky, "/held")).Status);
            return instance.IsEjected;
        });

        for (var i = 0; i < 20; i++)
        {
            using var other = ClientOf(proxy);
            Assert.NotEqual(port, (await GetAsync(other)).Text);
        }
    }

    [Fact]
    public async Task Callers_that_give_up_before_the_timeout_of_the_route_eject_nobody()
    {
        await StartServerAsync(answer: AnswerAsync);
        await StartServerAsync(answer: AnswerAsync);
        var proxy = await StartStickyProxyAsync(TimeSpan.FromMinutes(5));
        using var sticky = ClientOf(proxy);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(sticky)).Status);
        var balancer = BalancerOf(proxy);

        for (var i = 0; i < 8; i++)
        {
            using var giveUp = new CancellationTokenSource();
            var held = sticky.GetAsync(new Uri("/held", UriKind.Relative), giveUp.Token);
            await Eventually.IsTrue(() => balancer.InFlight == 1);
            await giveUp.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => held);
            await Eventually.IsTrue(() => balancer.InFlight == 0);
        }

        Assert.All(balancer.Instances, static i => Assert.False(i.IsEjected));
    }

    private static void EjectAtOnce(IServiceCollection services)
        => services.AddEtcdDiscovery(static o => (o.Ejection.ConsecutiveFailures, o.Ejection.BaseDuration, o.Ejection.MaxDuration) = (1, LongTime, LongTime));

    private async Task AnswerAsync(HttpContext context)
    {
        if (context.Request.Path == "/held")
        {
            await _release.Task.WaitAsync(context.RequestAborted);
        }

        context.Response.StatusCode = context.Request.Path.Value switch
        {
            "/broken" => StatusCodes.Status503ServiceUnavailable,
            "/missing" => StatusCodes.Status404NotFound,
            _ => StatusCodes.Status200OK,
        };
        await context.Response.WriteAsync(context.Connection.LocalPort.ToString());
    }

    private async Task<WebApplication> StartStickyProxyAsync(TimeSpan? timeout = null)
    {
        var proxy = await StartProxyAsync(
            new ClusterConfig
            {
                ClusterId = "greeter",
                LoadBalancingPolicy = EtcdLoadBalancingPolicies.LeastLoad,
                SessionAffinity = new SessionAffinityConfig
                {
                    Enabled = true, AffinityKeyName = "server", Policy = SessionAffinityConstants.Policies.HashCookie,
                },
                Destinations = new Dictionary<string, DestinationConfig> { ["d"] = new() { Address = "etcd://Greeter" } },
            },
            static p => p.Services.AddEtcdDiscovery(static o => o.Ejection.BaseDuration = o.Ejection.MaxDuration = LongTime),
            timeout: timeout);
        await Eventually.IsTrue(() => Destinations(proxy).Count == 2);
        return proxy;
    }

    /// <summary>A client that affinity has sent to another server.</summary>
    private static async Task<HttpClient> OtherClientAsync(WebApplication proxy, string port)
    {
        HttpClient? other = null;
        await Eventually.IsTrue(async () =>
        {
            other?.Dispose();
            other = ClientOf(proxy);
            return (await GetAsync(other)).Text != port;
        });
        return other!;
    }
}
