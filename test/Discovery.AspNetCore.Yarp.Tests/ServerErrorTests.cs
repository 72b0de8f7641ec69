using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.AspNetCore.Yarp.Tests;

/// <summary>What ASP.NET Core makes of an exception: 500.</summary>
public sealed class ServerErrorTests : ProxyTestBase
{
    private static readonly TimeSpan LongTime = TimeSpan.FromMinutes(10);

    [Fact]
    public async Task A_server_that_answers_all_with_500_while_others_serve_the_same_is_left_out()
    {
        var broken = await StartServerAsync(answer: static context => AnswerAsync(context, 500));
        await StartServerAsync(answer: AnswerInTimeAsync);
        await StartServerAsync(answer: AnswerInTimeAsync);
        var proxy = await StartProxyAsync(policy: EtcdLoadBalancingPolicies.LeastLoad, configure: EjectForLong);
        await Eventually.IsTrue(() => Destinations(proxy).Count == 3);
        using var client = ClientOf(proxy);

        await Eventually.IsTrue(async () =>
        {
            // An error counts as load, so one call after the other would hardly ever go there.
            await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => GetAsync(client, "/x")));
            return Instance(proxy, broken).IsEjected;
        });

        for (var i = 0; i < 60; i++)
        {
            Assert.Equal(System.Net.HttpStatusCode.OK, (await GetAsync(client, "/x")).Status);
        }
    }

    [Fact]
    public async Task A_route_that_fails_wherever_it_is_called_ejects_nobody()
    {
        for (var i = 0; i < 3; i++)
        {
            await StartServerAsync(answer: static context => AnswerAsync(context, context.Request.Path == "/broken" ? 500 : 200));
        }

        var proxy = await StartProxyAsync(policy: EtcdLoadBalancingPolicies.LeastLoad, configure: EjectForLong);
        await Eventually.IsTrue(() => Destinations(proxy).Count == 3);
        using var client = ClientOf(proxy);

        for (var i = 0; i < 200; i++)
        {
            await GetAsync(client, "/broken");
            await GetAsync(client, "/broken");
            await GetAsync(client, "/x");
        }

        Assert.All(BalancerOf(proxy).Instances, static i => Assert.False(i.IsEjected));
    }

    private static void EjectForLong(IServiceCollection services)
        => services.AddEtcdDiscovery(static o => (o.SlowStart, o.Ejection.BaseDuration, o.Ejection.MaxDuration) = (TimeSpan.Zero, LongTime, LongTime));

    private static InstanceState Instance(WebApplication proxy, WebApplication server)
        => BalancerOf(proxy).Instances.Single(i => i.Record.Port == int.Parse(Port(server)));

    private static Task AnswerAsync(HttpContext context, int status)
    {
        context.Response.StatusCode = status;
        return Task.CompletedTask;
    }

    private static async Task AnswerInTimeAsync(HttpContext context)
    {
        await Task.Delay(10);
        await AnswerAsync(context, 200);
    }
}
