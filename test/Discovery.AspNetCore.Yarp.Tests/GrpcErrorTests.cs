using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.SessionAffinity;

namespace Discovery.AspNetCore.Yarp.Tests;

/// <summary>What servers make of an exception in the application's code: the status UNKNOWN of gRPC.</summary>
public sealed class GrpcErrorTests : ProxyTestBase
{
    private static readonly TimeSpan LongTime = TimeSpan.FromMinutes(10);

    [Fact]
    public async Task A_server_that_answers_all_grpc_calls_with_UNKNOWN_while_others_serve_them_is_left_out()
    {
        var broken = await StartServerAsync(answer: static context => AnswerAsync(context, "2"));
        await StartServerAsync(answer: AnswerInTimeAsync);
        await StartServerAsync(answer: AnswerInTimeAsync);
        var proxy = await StartProxyAsync(policy: EtcdLoadBalancingPolicies.LeastLoad, configure: EjectForLong);
        await Eventually.IsTrue(() => Destinations(proxy).Count == 3);
        using var client = ClientOf(proxy);

        await Eventually.IsTrue(async () =>
        {
            // An error counts as load, so one call after the other would hardly ever go there.
            await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => CallAsync(client, "/greet/Hello", 2)));
            return Instance(proxy, broken).IsEjected;
        });

        Assert.InRange(Instance(proxy, broken).Calls, 5, 60);
        Assert.DoesNotContain("2", await CallAsync(client, "/greet/Hello", 200));
    }

    [Fact]
    public async Task Where_all_servers_answer_with_UNKNOWN_nobody_is_left_out()
    {
        for (var i = 0; i < 3; i++)
        {
            await StartServerAsync(answer: static context => AnswerAsync(context, "2"));
        }

        await NobodyIsEjectedAsync(static client => CallAsync(client, "/greet/Hello", 40));
    }

    [Fact]
    public async Task A_method_that_throws_wherever_it_is_called_ejects_nobody()
    {
        for (var i = 0; i < 3; i++)
        {
            await StartServerAsync(answer: static context => AnswerAsync(context, context.Request.Path == "/greet/Broken" ? "2" : "0"));
        }

        await NobodyIsEjectedAsync(static async client =>
        {
            await CallAsync(client, "/greet/Broken", 40);
            await CallAsync(client, "/greet/Hello", 1);
        });
    }

    [Fact]
    public async Task What_a_sticky_client_causes_is_not_compared_with_what_others_get()
    {
        for (var i = 0; i < 2; i++)
        {
            await StartServerAsync(answer: static context => AnswerAsync(context, context.Request.Headers.ContainsKey("cursed") ? "2" : "0"));
        }

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
            static p => EjectForLong(p.Services));
        await Eventually.IsTrue(() => Destinations(proxy).Count == 2);
        using var cursed = ClientOf(proxy);
        await CallAsync(cursed, "/greet/Hello", 1);
        cursed.DefaultRequestHeaders.Add("cursed", "yes");

        for (var i = 0; i < 100; i++)
        {
            Assert.Equal(["2"], await CallAsync(cursed, "/greet/Hello", 1));
            using var other = ClientOf(proxy);
            Assert.Equal(["0"], await CallAsync(other, "/greet/Hello", 1));
        }

        Assert.All(BalancerOf(proxy).Instances, static i => Assert.False(i.IsEjected));
    }

    private static void EjectForLong(IServiceCollection services)
        => services.AddEtcdDiscovery(static o => (o.SlowStart, o.Ejection.BaseDuration, o.Ejection.MaxDuration) = (TimeSpan.Zero, LongTime, LongTime));

    private static InstanceState Instance(WebApplication proxy, WebApplication server)
        => BalancerOf(proxy).Instances.Single(i => i.Record.Port == int.Parse(Port(server)));

    private static Task AnswerAsync(HttpContext context, string status)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = status;
        return Task.CompletedTask;
    }

    private static async Task AnswerInTimeAsync(HttpContext context)
    {
        await Task.Delay(10);
        await AnswerAsync(context, "0");
    }

    private async Task NobodyIsEjectedAsync(Func<HttpClient, Task> callAsync)
    {
        var proxy = await StartProxyAsync(policy: EtcdLoadBalancingPolicies.LeastLoad, configure: EjectForLong);
        await Eventually.IsTrue(() => Destinations(proxy).Count == 3);
        using var client = ClientOf(proxy);

        await Eventually.IsTrue(async () =>
        {
            await callAsync(client);
            return BalancerOf(proxy).Instances.All(static i => i.Calls >= 200);
        });

        Assert.All(BalancerOf(proxy).Instances, static i => Assert.False(i.IsEjected));
    }

    /// <summary>Calls one after another, and says with which status each ended.</summary>
    private static async Task<IReadOnlyList<string>> CallAsync(HttpClient client, string method, int calls)
    {
        var statuses = new List<string>();
        for (var i = 0; i < calls; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, method) { Content = new ByteArrayContent([]) };
            request.Content.Headers.ContentType = new("application/grpc");
            using var response = await client.SendAsync(request);
            statuses.Add(Assert.Single(response.Headers.GetValues("grpc-status")));
        }

        return statuses;
    }
}
