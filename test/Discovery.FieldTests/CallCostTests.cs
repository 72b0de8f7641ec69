using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>What discovery adds to the memory of a call. The benchmarks' verb <c>handler</c> measures exactly.</summary>
[Collection(Alone.Name)]
public sealed class CallCostTests
{
    private const int Calls = 2_000;

    [Theory]
    [InlineData(false, 136)]
    [InlineData(true, 300)]
    public async Task A_call_costs_little_more_memory_than_one_without_discovery(bool hasBody, int most)
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync(c =>
        {
            c.Response.ContentLength = hasBody ? 4 : 0;
            return hasBody ? c.Response.WriteAsync("body") : Task.CompletedTask;
        });
        using var client = field.Client(configure: static b => b.RemoveAllLoggers());
        using var bare = field.Application(s => s.AddHttpClient("bare", c => c.BaseAddress = new Uri($"http://{server.Address}/"))
            .ConfigurePrimaryHttpMessageHandler(static () => new SocketsHttpHandler { UseProxy = false, UseCookies = false })
            .RemoveAllLoggers()).GetRequiredService<IHttpClientFactory>().CreateClient("bare");

        // What else the process does in a round can only add to it.
        var (with, without) = (long.MaxValue, long.MaxValue);
        for (var round = 0; round < 8; round++)
        {
            with = Math.Min(with, await MeasureAsync(client));
            without = Math.Min(without, await MeasureAsync(bare));
        }

        Assert.True(with - without <= most + 24, $"{with} B with discovery, {without} B without");
    }

    private static async Task<long> MeasureAsync(HttpClient client)
    {
        var before = GC.GetTotalAllocatedBytes(precise: true);
        for (var i = 0; i < Calls; i++)
        {
            using var response = await client.GetAsync("x", HttpCompletionOption.ResponseHeadersRead);
            _ = await response.Content.ReadAsByteArrayAsync();
        }

        return (GC.GetTotalAllocatedBytes(precise: true) - before) / Calls;
    }
}
