using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Http;

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
        using var client = field.Client();
        using var bare = new HttpClient(new SocketsHttpHandler { UseProxy = false, UseCookies = false }) { BaseAddress = new Uri($"http://{server.Address}/") };

        // What else the process does in a round can only add to it.
        var (with, without) = (long.MaxValue, long.MaxValue);
        for (var round = 0; round < 8; round++)
        {
            with = Math.Min(with, await MeasureAsync(client));
            without = Math.Min(without, await MeasureAsync(bare));
        }

        Assert.InRange(with - without, 0, most + 24);
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
