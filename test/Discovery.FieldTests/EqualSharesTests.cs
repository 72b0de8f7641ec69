using System.Diagnostics;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Http;

namespace Discovery.FieldTests;

/// <summary>Equal servers under the default policy, at rates at which load alone decides nothing.</summary>
[Collection(Alone.Name)]
public sealed class EqualSharesTests
{
    private const double LeastShare = 0.6;

    [Theory]
    [InlineData(20, 0, 1)]
    [InlineData(400, 0, 1)]
    [InlineData(400, 0, 2)]
    [InlineData(400, 1, 8)]
    [InlineData(20, 20, 2)]
    [InlineData(400, 20, 8)]
    public async Task Each_gets_its_share(int callsPerSecond, int answerAfterMilliseconds, int callers)
    {
        await using var field = await Field.StartAsync();
        var servers = new List<BackendServer>();
        for (var i = 0; i < 3; i++)
        {
            servers.Add(await field.StartServerAsync(c => AnswerAsync(c, answerAfterMilliseconds)));
        }

        using var client = field.Client();

        // Fewer than 200 calls leave too much to chance.
        await ExpectEqualSharesAsync(servers, client, callsPerSecond, callers, TimeSpan.FromSeconds(callsPerSecond < 100 ? 10 : 3));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Twice_the_weight_gets_about_twice_the_calls(int callers)
    {
        await using var field = await Field.StartAsync();
        var heavy = await field.StartServerAsync(metadata: "\"weight\":\"20\"");
        var light = await field.StartServerAsync(metadata: "\"weight\":\"10\"");
        using var client = field.Client();

        await ExpectSharesAsync(
            [heavy, light], client, 300, callers, TimeSpan.FromSeconds(3), static calls => (double)calls[0] / calls[1] is >= 1.2 and <= 3.5);
    }

    [Fact]
    public async Task One_whose_first_answers_were_slow_and_one_that_joins_get_it_too()
    {
        await using var field = await Field.StartAsync();
        var cold = Stopwatch.StartNew();
        var servers = new List<BackendServer>
        {
            await field.StartServerAsync(static c => AnswerAsync(c, 1)),
            await field.StartServerAsync(c => AnswerAsync(c, cold.Elapsed < TimeSpan.FromSeconds(2) ? 300 : 1)),
        };
        using var client = field.Client(static o => o.SlowStart = TimeSpan.FromSeconds(3));
        await CallAsync(client, 50, 2, TimeSpan.FromSeconds(2));
        servers.Add(await field.StartServerAsync(static c => AnswerAsync(c, 1)));

        await ExpectEqualSharesAsync(servers, client, 50, 2, TimeSpan.FromSeconds(5));
    }

    /// <summary>Subscriptions whose servers have nothing to say yet, and so send no headers either.</summary>
    [Fact]
    public async Task Quiet_streams_leave_each_its_share()
    {
        await using var field = await Field.StartAsync();
        var servers = new List<BackendServer>();
        var subscribed = new CountdownEvent(3);
        for (var i = 0; i < 3; i++)
        {
            servers.Add(await field.StartServerAsync(async c =>
            {
                if (c.Request.Path == "/events")
                {
                    subscribed.Signal();
                    await Task.Delay(Timeout.Infinite, c.RequestAborted);
                }

                await AnswerAsync(c, 1);
            }));
        }

        using var client = field.Client();
        using var end = new CancellationTokenSource();
        var subscriptions = new List<Task>();
        foreach (var server in servers)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "events");
            request.Options.Set(EtcdRequestOptions.Instance, server.Address);
            subscriptions.Add(client.SendAsync(request, end.Token));
        }

        Assert.True(await Task.Run(() => subscribed.Wait(TimeSpan.FromSeconds(30))));

        await ExpectEqualSharesAsync(servers, client, 100, 2, TimeSpan.FromSeconds(3));

        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(subscriptions));
    }

    private static async Task AnswerAsync(HttpContext context, int afterMilliseconds)
    {
        if (afterMilliseconds > 0)
        {
            await Task.Delay(afterMilliseconds);
        }

        await context.Response.WriteAsync("hello");
    }

    /// <summary>Callers that each wait for their answer, and for their next call's turn.</summary>
    private static Task CallAsync(HttpClient client, int callsPerSecond, int callers, TimeSpan duration)
    {
        var clock = Stopwatch.StartNew();
        return Task.WhenAll(Enumerable.Range(0, callers).Select(async caller =>
        {
            var interval = TimeSpan.FromSeconds((double)callers / callsPerSecond);
            for (var due = interval * caller / callers; due < duration; due += interval)
            {
                if (due > clock.Elapsed)
                {
                    await Task.Delay(due - clock.Elapsed);
                }

                await client.GetStringAsync("x");
            }
        }));
    }

    private static Task ExpectEqualSharesAsync(
        IReadOnlyList<BackendServer> servers, HttpClient client, int callsPerSecond, int callers, TimeSpan measured)
        => ExpectSharesAsync(servers, client, callsPerSecond, callers, measured, static calls => calls.Min() >= LeastShare * calls.Average());

    /// <summary>Calls until all servers get their share, which they do within 20 s, whatever their first answers cost.</summary>
    private static async Task ExpectSharesAsync(
        IReadOnlyList<BackendServer> servers, HttpClient client, int callsPerSecond, int callers, TimeSpan measured, Predicate<int[]> isFair)
    {
        var clock = Stopwatch.StartNew();
        int[] calls;
        do
        {
            int[] before = [.. servers.Select(static s => s.Requests)];
            await CallAsync(client, callsPerSecond, callers, measured);
            calls = [.. servers.Select((s, i) => s.Requests - before[i])];
        }
        while (!isFair(calls) && clock.Elapsed < TimeSpan.FromSeconds(20));

        Assert.True(isFair(calls), $"calls: {string.Join(", ", calls)}");
    }
}
