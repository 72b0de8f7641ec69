using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Http;

namespace Discovery.FieldTests;

/// <summary>Streams of events that stay open beside calls that come and go.</summary>
public sealed class SubscriptionTests
{
    [Theory]
    [InlineData(2, "events")]
    [InlineData(3, "events")]
    [InlineData(3, "upload")]
    public async Task One_subscription_takes_nobody_s_share_of_the_other_calls(int servers, string subscription)
    {
        await using var field = await Field.StartAsync();
        while (servers-- > 0)
        {
            await field.StartServerAsync(AnswerAsync);
        }

        using var client = field.Client();
        var all = await CountAsync(client, 100);
        var subscribed = SubscribeAsync(client, subscription);

        // At first it looks like any other call, or like one of a server that hangs.
        await Eventually.IsTrue(async () => (await CountAsync(client, 40)) is var counts && counts.Count == all.Count && counts.Values.Min() > 5);

        var counts = await CountAsync(client, 600);
        Assert.True(counts.Count == all.Count && counts.Values.Min() >= 0.6 * counts.Values.Average(), string.Join(", ", counts));
        Assert.True(!subscribed.IsCompleted || await subscribed is { IsSuccessStatusCode: true });
    }

    [Fact]
    public async Task A_user_with_subscriptions_stays_where_his_hash_key_leads()
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 4; i++)
        {
            await field.StartServerAsync(AnswerAsync);
        }

        using var client = field.Client(static o => o.Policy = BalancingPolicies.ConsistentHash);
        var home = await GetAsync(client, "x", "ann");
        var events = new List<HttpResponseMessage>();
        for (var i = 0; i < 3; i++)
        {
            events.Add(await SubscribeAsync(client, "events", "ann"));
            Assert.Equal(home, await GetAsync(client, "x", "ann"));
        }

        Assert.Equal([home], (await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => GetAsync(client, "x", "ann")))).Distinct());
        events.ForEach(static e => e.Dispose());
    }

    private static async Task<Dictionary<string, int>> CountAsync(HttpClient client, int calls)
    {
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < calls; i++)
        {
            var server = await GetAsync(client, "x");
            counts[server] = counts.GetValueOrDefault(server) + 1;
        }

        return counts;
    }

    private static async Task<string> GetAsync(HttpClient client, string path, string? key = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (key is not null)
        {
            request.Options.Set(EtcdRequestOptions.HashKey, key);
        }

        using var response = await client.SendAsync(request);
        return await response.Content.ReadAsStringAsync();
    }

    private static Task<HttpResponseMessage> SubscribeAsync(HttpClient client, string path, string? key = null)
    {
        var request = new HttpRequestMessage(path == "upload" ? HttpMethod.Post : HttpMethod.Get, path);
        request.Content = path == "upload" ? new EndlessContent() : null;
        if (key is not null)
        {
            request.Options.Set(EtcdRequestOptions.HashKey, key);
        }

        return client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    private static async Task AnswerAsync(HttpContext context)
    {
        if (context.Request.Path == "/x")
        {
            await context.Response.WriteAsync($"{context.Connection.LocalPort}");
            return;
        }

        if (context.Request.Path == "/events")
        {
            await context.Response.WriteAsync("event");
            await context.Response.Body.FlushAsync();
        }

        await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(static _ => { }, TaskScheduler.Default);
    }

    /// <summary>A body that goes on, and of which no more comes.</summary>
    private sealed class EndlessContent : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, System.Net.TransportContext? context)
        {
            await stream.WriteAsync(new byte[1]);
            await stream.FlushAsync();
            await Task.Delay(Timeout.Infinite);
        }

        protected override async Task SerializeToStreamAsync(Stream stream, System.Net.TransportContext? context, CancellationToken cancellationToken)
        {
            await stream.WriteAsync(new byte[1], cancellationToken);
            await stream.FlushAsync(cancellationToken);
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
