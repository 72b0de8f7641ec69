using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http.Resilience;
using Polly;

namespace Discovery.FieldTests;

/// <summary>Policies that have an order of instances: where a call goes on to that could not be connected to the first.</summary>
public sealed class NextInLineTests
{
    [Theory]
    [InlineData("PickFirst")]
    [InlineData("ConsistentHash")]
    public async Task A_call_that_meets_a_dead_instance_goes_to_the_next_one_also_below_a_handler(string policy)
    {
        await using var field = await Field.StartAsync();
        await field.PutAsync($"services/{Field.Service}/1", $$"""{"Addr":"{{Field.DeadAddress(1)}}"}""");
        var servers = new List<BackendServer>();
        for (var i = 2; i <= 3; i++)
        {
            var server = await BackendServer.StartAsync();
            field.Own(server);
            servers.Add(server);
            await field.PutAsync($"services/{Field.Service}/{i}", $$"""{"Addr":"{{server.Address}}"}""");
        }

        using var plain = field.Client(Configure);
        using var belowHandler = field.Client(Configure, static b => b.AddHttpMessageHandler(static () => new EmptyHandler()));
        for (var i = 0; i < 30; i++)
        {
            var expected = await CallAsync(plain, $"{i}");
            Assert.Equal(expected, await CallAsync(belowHandler, $"{i}"));
            if (policy == BalancingPolicies.PickFirst)
            {
                Assert.Equal(servers[0].Address, expected);
            }
        }

        void Configure(EtcdDiscoveryOptions options) => (options.Policy, options.Ejection.Enabled) = (policy, false);
    }

    [Fact]
    public async Task A_retry_goes_to_the_second_instance_also_when_the_first_is_ejected_before_it()
    {
        await using var field = await Field.StartAsync();
        var calls = new int[3];
        for (var i = 0; i < calls.Length; i++)
        {
            var number = i;
            var server = await BackendServer.StartAsync(context =>
            {
                Interlocked.Increment(ref calls[number]);
                context.Response.StatusCode = number == 0 ? 503 : 200;
                return Task.CompletedTask;
            });
            field.Own(server);
            await field.PutAsync($"services/{Field.Service}/{i}", $$"""{"Addr":"{{server.Address}}"}""");
        }

        // The delay is long enough for the ejection by the failure before it.
        using var client = field.Client(
            static o => o.Policy = BalancingPolicies.PickFirst,
            static b => b.AddResilienceHandler("retry", static p => p.AddRetry(
                new HttpRetryStrategyOptions { MaxRetryAttempts = 1, Delay = TimeSpan.FromSeconds(1), UseJitter = false })));
        for (var i = 0; i < 6; i++)
        {
            using var response = await client.GetAsync(new Uri("x", UriKind.Relative));
            response.EnsureSuccessStatusCode();
        }

        Assert.Equal([5, 6, 0], calls);
    }

    private static async Task<string> CallAsync(HttpClient client, string key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "x");
        request.Options.Set(EtcdRequestOptions.HashKey, key);
        using var response = await client.SendAsync(request);
        return await response.Content.ReadAsStringAsync();
    }

    /// <summary>Any handler may send a request several times, so what it was sent to is kept below it.</summary>
    private sealed class EmptyHandler : DelegatingHandler;
}
