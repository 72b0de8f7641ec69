using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Microsoft.Extensions.DependencyInjection;

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
