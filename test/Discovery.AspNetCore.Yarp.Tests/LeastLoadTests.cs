using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Transforms;

namespace Discovery.AspNetCore.Yarp.Tests;

public sealed class LeastLoadTests : ProxyTestBase
{
    [Fact]
    public async Task A_slow_server_gets_few_requests_and_each_of_the_others_its_share()
    {
        var slow = await StartServerAsync(answer: static async context =>
        {
            await Task.Delay(100);
            await context.Response.WriteAsync(context.Connection.LocalPort.ToString());
        });
        var fast = new[] { await StartServerAsync(), await StartServerAsync() };
        var proxy = await StartProxyAsync(policy: EtcdLoadBalancingPolicies.LeastLoad, configure: static s => s.AddEtcdDiscovery(static o => o.SlowStart = TimeSpan.Zero));

        var counts = await CallAsync(proxy, 600);

        Assert.InRange(counts.GetValueOrDefault(Port(slow)), 0, 100);
        Assert.All(fast, f => Assert.InRange(counts.GetValueOrDefault(Port(f)), 75, 525));
    }

    [Fact]
    public async Task A_server_that_fails_is_left_out()
    {
        var broken = await StartServerAsync(answer: static context =>
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return Task.CompletedTask;
        });
        await StartServerAsync();
        await StartServerAsync();

        Assert.InRange(await FailuresOfAsync(requests: 300), 1, 20);
    }

    /// <summary>A limit of rates or an authorization stands between the choice of a destination and the request to it.</summary>
    [Fact]
    public async Task What_a_middleware_answers_by_itself_says_nothing_of_the_servers()
    {
        await StartServerAsync();
        await StartServerAsync();
        var proxy = await StartProxyAsync(policy: EtcdLoadBalancingPolicies.LeastLoad, pipeline: static pipeline =>
        {
            pipeline.UseLoadBalancing();
            pipeline.Use((context, next) =>
            {
                if (context.Request.Path == "/limited")
                {
                    context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
                    return Task.CompletedTask;
                }

                return next();
            });
        });
        using var client = ClientOf(proxy);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(client)).Status);

        for (var i = 0; i < 50; i++)
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync(client, "/limited")).Status);
        }

        Assert.Equal(HttpStatusCode.OK, (await GetAsync(client)).Status);
        var balancer = BalancerOf(proxy);
        await Eventually.IsTrue(() => balancer.InFlight == 0);
        Assert.All(balancer.Instances, static i => Assert.True(i is { IsEjected: false, FailureRate: 0 }, $"{i}: {i.FailureRate}"));
    }

    [Fact]
    public async Task What_a_transform_answers_by_itself_says_nothing_of_the_servers()
    {
        await StartServerAsync();
        await StartServerAsync();
        var cluster = new ClusterConfig
        {
            ClusterId = "greeter",
            LoadBalancingPolicy = EtcdLoadBalancingPolicies.LeastLoad,
            Destinations = new Dictionary<string, DestinationConfig> { ["d"] = new() { Address = "etcd://Greeter" } },
        };
        var proxy = await StartProxyAsync(cluster, static p => p.AddTransforms(static t => t.AddRequestTransform(static transform =>
        {
            if (transform.HttpContext.Request.Path == "/refused")
            {
                transform.HttpContext.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            }

            return ValueTask.CompletedTask;
        })));
        using var client = ClientOf(proxy);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(client)).Status);

        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync(client, "/refused")).Status);
        }

        var balancer = BalancerOf(proxy);
        await Eventually.IsTrue(() => balancer.InFlight == 0);
        Assert.All(balancer.Instances, static i => Assert.True(i is { IsEjected: false, FailureRate: 0 }, $"{i}: {i.FailureRate}"));
    }

    [Fact]
    public async Task A_server_that_refuses_connections_is_left_out()
    {
        await StartServerAsync(static o => o.AdvertisedUrls.Add("http://127.0.0.1:1"));
        await StartServerAsync();
        await StartServerAsync();

        Assert.InRange(await FailuresOfAsync(requests: 300), 1, 20);
    }

    /// <summary>Kestrel reads headers as UTF-8, and what YARP sends must be ASCII.</summary>
    [Fact]
    public async Task A_header_that_cannot_be_sent_on_ejects_nobody()
    {
        await StartServerAsync();
        await StartServerAsync();
        var proxy = await StartProxyAsync(policy: EtcdLoadBalancingPolicies.LeastLoad);
        using var handler = new SocketsHttpHandler { RequestHeaderEncodingSelector = static (_, _) => Encoding.UTF8 };
        using var client = new HttpClient(handler) { BaseAddress = new Uri(proxy.Urls.First()) };
        client.DefaultRequestHeaders.Add("x-user", "José");

        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(HttpStatusCode.BadGateway, (await GetAsync(client)).Status);
        }

        client.DefaultRequestHeaders.Clear();
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(client)).Status);
        Assert.DoesNotContain(Log.Lines, static l => l.Contains("failing", StringComparison.Ordinal));
    }

    [Fact]
    public async Task All_requests_of_a_connection_that_breaks_are_one_failure()
    {
        static Task AnswerAsync(HttpContext context)
            => context.Request.Path == "/quiet" ? Task.Delay(Timeout.Infinite, context.RequestAborted) : context.Response.WriteAsync("hello");

        await using var one = await BackendServer.StartAsync(AnswerAsync, HttpProtocols.Http2);
        await using var other = await BackendServer.StartAsync(AnswerAsync, HttpProtocols.Http2);
        await using var network = TcpProxy.Start(new Uri($"http://{one.Address}").Port);
        var proxy = await StartProxyAsync(builder => builder.Services.AddReverseProxy()
            .LoadFromMemory(
                [new RouteConfig { RouteId = "all", ClusterId = "greeter", Match = new RouteMatch { Path = "{**rest}" } }],
                [
                    new ClusterConfig
                    {
                        ClusterId = "greeter",
                        LoadBalancingPolicy = EtcdLoadBalancingPolicies.LeastLoad,
                        HttpRequest = new ForwarderRequestConfig { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact },
                        Destinations = new Dictionary<string, DestinationConfig>
                        {
                            ["one"] = new() { Address = network.Endpoint }, ["other"] = new() { Address = $"http://{other.Address}" },
                        },
                    },
                ])
            .AddEtcdDestinationResolver());
        using var client = ClientOf(proxy);
        await Eventually.IsTrue(async () => (await GetAsync(client)).Status == HttpStatusCode.OK && one.Requests > 0 && other.Requests > 0);
        var before = one.Requests;
        var quiet = Enumerable.Range(0, 40).Select(_ => GetAsync(client, "/quiet")).ToList();
        await Eventually.IsTrue(() => one.Requests - before >= 6 && one.Requests + other.Requests >= before + 40);
        var broken = one.Requests - before;

        network.CutAll();
        await Eventually.IsTrue(() => quiet.Count(static q => q.IsCompletedSuccessfully) == broken);

        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await GetAsync(client)).Status);
        }

        Assert.All(quiet.Where(static q => q.IsCompleted), static q => Assert.Equal(HttpStatusCode.BadGateway, q.Result.Status));
        Assert.DoesNotContain(Log.Lines, static l => l.Contains("failing", StringComparison.Ordinal));
    }

    /// <summary>A web application at an address that was a gRPC server's answers everything with its start page.</summary>
    [Fact]
    public async Task A_stranger_that_answers_grpc_calls_with_a_page_is_left_out()
    {
        var stranger = await StartServerAsync(answer: static context =>
        {
            context.Response.ContentType = "text/html";
            return context.Response.WriteAsync(context.Connection.LocalPort.ToString());
        });
        for (var i = 0; i < 2; i++)
        {
            await StartServerAsync(answer: static context =>
            {
                context.Response.ContentType = "application/grpc";
                return context.Response.WriteAsync(context.Connection.LocalPort.ToString());
            });
        }

        var proxy = await StartProxyAsync(policy: EtcdLoadBalancingPolicies.LeastLoad);
        using var client = ClientOf(proxy);
        var pages = 0;
        for (var i = 0; i < 300; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/") { Content = new ByteArrayContent([]) };
            request.Content.Headers.ContentType = new("application/grpc");
            using var response = await client.SendAsync(request);
            pages += await response.Content.ReadAsStringAsync() == Port(stranger) ? 1 : 0;
        }

        Assert.InRange(pages, 1, 20);
    }

    [Fact]
    public async Task Where_all_may_be_ejected_and_are_requests_get_503()
    {
        await StartServerAsync(static o => o.AdvertisedUrls.Add("http://127.0.0.1:1"));
        await StartServerAsync(static o => o.AdvertisedUrls.Add("http://127.0.0.1:2"));
        var proxy = await StartProxyAsync(
            policy: EtcdLoadBalancingPolicies.LeastLoad,
            configure: static s => s.AddEtcdDiscovery(static o =>
                (o.Ejection.MaxEjectedPercent, o.Ejection.PanicThresholdPercent, o.Ejection.BaseDuration) = (100, 0, TimeSpan.FromMinutes(5))));
        using var client = ClientOf(proxy);
        var statuses = new List<HttpStatusCode>();
        for (var i = 0; i < 20; i++)
        {
            statuses.Add((await GetAsync(client)).Status);
        }

        // At first the proxy says that it could not connect.
        Assert.Equal(HttpStatusCode.ServiceUnavailable, statuses[^1]);
        Assert.All(statuses, static s => Assert.True(s is HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable, $"{s}"));
    }

    /// <summary>A middleware that sends each request to one of two versions has a list of its own for each.</summary>
    [Fact]
    public async Task A_server_that_fails_is_left_out_where_requests_bring_their_own_lists_of_destinations()
    {
        await StartServerAsync(answer: static context =>
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return Task.CompletedTask;
        });
        var works = new List<WebApplication>();
        while (works.Count < 5)
        {
            works.Add(await StartServerAsync());
        }

        string[] first = [Port(works[0]), Port(works[1])];
        var proxy = await StartProxyAsync(
            static builder => builder.Services.AddReverseProxy()
                .LoadFromMemory(
                    [new RouteConfig { RouteId = "all", ClusterId = "greeter", Match = new RouteMatch { Path = "{**rest}" } }],
                    [
                        new ClusterConfig
                        {
                            ClusterId = "greeter",
                            LoadBalancingPolicy = EtcdLoadBalancingPolicies.LeastLoad,
                            Destinations = new Dictionary<string, DestinationConfig> { ["d"] = new() { Address = "etcd://Greeter" } },
                        },
                    ])
                .AddEtcdDestinationResolver(),
            pipeline =>
            {
                pipeline.Use((context, next) =>
                {
                    var feature = context.GetReverseProxyFeature();
                    feature.AvailableDestinations = feature.AvailableDestinations
                        .Where(d => Array.Exists(first, p => d.DestinationId.Contains(p, StringComparison.Ordinal)) == (context.Request.Path == "/first")).ToList();
                    return next();
                });
                pipeline.UseLoadBalancing();
            });
        await Eventually.IsTrue(() => Destinations(proxy).Count == 6);
        using var client = ClientOf(proxy);
        var failures = 0;
        for (var i = 0; i < 150; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await GetAsync(client, "/first")).Status);
            failures += (await GetAsync(client, "/second")).Status == HttpStatusCode.OK ? 0 : 1;
        }

        Assert.InRange(failures, 1, 20);
    }

    [Fact]
    public async Task Weights_count_also_of_destinations_that_are_not_from_etcd()
    {
        // Requests that wait, so that load and not idleness decides.
        static async Task Answer(HttpContext context)
        {
            await Task.Delay(20);
            await context.Response.WriteAsync(context.Connection.LocalPort.ToString());
        }

        var heavy = await StartServerAsync(static o => o.ServiceName = "other", Answer);
        var light = await StartServerAsync(static o => o.ServiceName = "other", Answer);
        var proxy = await StartProxyAsync(
        [
            new DestinationConfig { Address = heavy.Urls.First(), Metadata = new Dictionary<string, string> { [EtcdDestinationMetadata.Weight] = "30" } },
            new DestinationConfig { Address = light.Urls.First(), Metadata = new Dictionary<string, string> { [EtcdDestinationMetadata.Weight] = "10" } },
        ], EtcdLoadBalancingPolicies.LeastLoad);

        var counts = await CallAsync(proxy, 800, callers: 32);

        Assert.InRange(counts[Port(heavy)], 500, 700);
    }

    [Fact]
    public async Task The_own_zone_comes_first()
    {
        var here = await StartServerAsync(static o => o.Zone = "a");
        await StartServerAsync(static o => o.Zone = "b");
        var proxy = await StartProxyAsync(policy: EtcdLoadBalancingPolicies.LeastLoad, configure: static s => s.AddEtcdDiscovery(static o => o.Zone = "a"));

        var counts = await CallAsync(proxy, 200, callers: 1);

        Assert.InRange(counts[Port(here)], 150, 200);
    }

    [Fact]
    public async Task Callers_that_give_up_leave_nothing_in_flight()
    {
        await StartServerAsync(answer: static context => Task.Delay(Timeout.Infinite, context.RequestAborted));
        var proxy = await StartProxyAsync(policy: EtcdLoadBalancingPolicies.LeastLoad);
        using var client = ClientOf(proxy);
        client.Timeout = TimeSpan.FromMilliseconds(200);
        for (var i = 0; i < 5; i++)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => GetAsync(client));
        }

        var balancer = BalancerOf(proxy);
        await Eventually.IsTrue(() => balancer.InFlight == 0);
    }

    private static async Task<Dictionary<string, int>> CallAsync(WebApplication proxy, int requests, int callers = 8)
    {
        var counts = new ConcurrentDictionary<string, int>();
        using var client = ClientOf(proxy);
        var left = requests;
        await Task.WhenAll(Enumerable.Range(0, callers).Select(async _ =>
        {
            while (Interlocked.Decrement(ref left) >= 0)
            {
                var (_, text) = await GetAsync(client);
                counts.AddOrUpdate(text, 1, static (_, n) => n + 1);
            }
        }));
        return new Dictionary<string, int>(counts);
    }

    private async Task<int> FailuresOfAsync(int requests)
    {
        var proxy = await StartProxyAsync(policy: EtcdLoadBalancingPolicies.LeastLoad);
        using var client = ClientOf(proxy);
        var failures = 0;
        for (var i = 0; i < requests; i++)
        {
            failures += (await GetAsync(client)).Status == HttpStatusCode.OK ? 0 : 1;
        }

        return failures;
    }
}
