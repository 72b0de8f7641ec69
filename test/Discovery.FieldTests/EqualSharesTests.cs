using System.Diagnostics;
using System.Globalization;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Helloworld;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discovery.FieldTests;

/// <summary>Equal servers under the default policy, at rates at which load alone decides nothing.</summary>
[Collection(Alone.Name)]
public sealed class EqualSharesTests
{
    private const double LeastShare = 0.6;

    /// <summary>
    /// Chance alone gives one of three servers less than 0.6 of its share of so many calls once in three million windows; of 200 calls once in thirty
    /// thousand, which with all the windows here would be a failure in a thousand runs.
    /// </summary>
    private const int LeastCalls = 300;

    private static readonly TimeSpan LeastTime = TimeSpan.FromSeconds(3);

    /// <summary>The services are called side by side: those of 20 calls a second all the time, of the others those with the same answers at a time.</summary>
    [Fact]
    public async Task Each_gets_its_share()
    {
        await using var field = await Field.StartAsync();
        Load[] loads =
        [
            .. from callsPerSecond in (int[])[20, 400]
               from answerAfter in (int[])[0, 1, 20]
               from callers in (int[])[1, 2, 8]
               select new Load(callsPerSecond, answerAfter, callers),
        ];
        for (var i = 0; i < 3; i++)
        {
            var server = await BackendServer.StartAsync(AnswerAsync);
            field.Own(server);
            foreach (var load in loads)
            {
                await field.RegisterAsync(server.Address, service: load.Service);
            }

            await field.StartServerAsync(static c => GrpcAnswer.SendAsync(c, NameOf(c)), HttpProtocols.Http2);
        }

        var services = field.Application(s =>
        {
            foreach (var load in loads)
            {
                s.AddHttpClient(load.Service).AddEtcdDiscovery(load.Service);
            }

            s.AddEtcdGrpcClient<Greeter.GreeterClient>(Field.Service);
        });
        var clients = services.GetRequiredService<IHttpClientFactory>();
        var greeter = services.GetRequiredService<Greeter.GreeterClient>();
        Task<string?> MeasureAsync(Load load) => FindUnfairAsync(load, clients.CreateClient(load.Service));

        var few = loads.Where(static l => l.CallsPerSecond < 100).Select(MeasureAsync).ToList();
        List<string?> problems =
        [
            await FindUnfairAsync(
                new Load(100, 0, 2), async () => (await greeter.SayHelloAsync(new HelloRequest())).Message, servers: 3, AreFair),
        ];
        foreach (var together in loads.Where(static l => l.CallsPerSecond >= 100).GroupBy(static l => l.AnswerAfterMilliseconds))
        {
            problems.AddRange(await Task.WhenAll(together.Select(MeasureAsync)));
        }

        problems.AddRange(await Task.WhenAll(few));
        ExpectNone(problems);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Twice_the_weight_gets_about_twice_the_calls(int callers)
    {
        await using var field = await Field.StartAsync();
        var heavy = await field.StartServerAsync(AnswerAsync, metadata: "\"weight\":\"20\"");
        await field.StartServerAsync(AnswerAsync, metadata: "\"weight\":\"10\"");
        using var client = field.Client();

        Assert.Null(await FindUnfairAsync(
            new Load(300, 0, callers), () => client.GetStringAsync("x"), servers: 2, calls => ShareOf(heavy, calls) is >= 0.55 and <= 0.78));
    }

    [Fact]
    public async Task One_whose_first_answers_were_slow_and_one_that_joins_get_it_too()
    {
        await using var field = await Field.StartAsync();
        Load[] loads = [new(40, 1, 2), new(50, 20, 1), new(400, 1, 8)];
        var isCold = true;
        async Task<BackendServer> StartAsync(RequestDelegate answer)
        {
            var server = await BackendServer.StartAsync(answer);
            field.Own(server);
            foreach (var load in loads)
            {
                await field.RegisterAsync(server.Address, service: load.Service);
            }

            return server;
        }

        await StartAsync(AnswerAsync);
        await StartAsync(async c =>
        {
            if (Volatile.Read(ref isCold))
            {
                await Task.Delay(300);
            }

            await AnswerAsync(c);
        });
        var clients = field.Application(s =>
        {
            foreach (var load in loads)
            {
                s.AddHttpClient(load.Service).AddEtcdDiscovery(load.Service);
            }
        }).GetRequiredService<IHttpClientFactory>();
        await Task.WhenAll(loads.Select(l => CallAsync(l, CallOf(l, clients.CreateClient(l.Service)), TimeSpan.FromSeconds(2), leastCalls: 20)));
        Volatile.Write(ref isCold, false);
        await StartAsync(AnswerAsync);

        var problems = await Task.WhenAll(loads.Select(l => FindUnfairAsync(l, clients.CreateClient(l.Service))));

        ExpectNone(problems);
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

                await AnswerAsync(c);
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

        Assert.Null(await FindUnfairAsync(new Load(100, 1, 2), client));

        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(subscriptions));
    }

    /// <summary>Answers after the milliseconds that the request asks for, with the server's name.</summary>
    private static async Task AnswerAsync(HttpContext context)
    {
        if (int.TryParse(context.Request.Query["after"], CultureInfo.InvariantCulture, out var milliseconds) && milliseconds > 0)
        {
            await Task.Delay(milliseconds);
        }

        await context.Response.WriteAsync(NameOf(context));
    }

    private static string NameOf(HttpContext context) => $"127.0.0.1:{context.Connection.LocalPort}";

    private static Func<Task<string>> CallOf(Load load, HttpClient client) => () => client.GetStringAsync($"x?after={load.AnswerAfterMilliseconds}");

    private static Task<string?> FindUnfairAsync(Load load, HttpClient client) => FindUnfairAsync(load, CallOf(load, client), servers: 3, AreFair);

    private static void ExpectNone(IEnumerable<string?> problems)
    {
        var all = string.Join('\n', problems.OfType<string>());
        Assert.True(all.Length == 0, all);
    }

    private static bool AreFair(IReadOnlyDictionary<string, int> calls) => calls.Values.Min() >= LeastShare * calls.Values.Average();

    private static double ShareOf(BackendServer server, IReadOnlyDictionary<string, int> calls)
        => calls.GetValueOrDefault(server.Address) / (double)calls.Values.Sum();

    /// <summary>
    /// Calls until all servers get their share, which they do within 20 s, whatever their first answers cost; and then on, for they must not lose it again.
    /// One whose answer was late, as a busy machine has it, gets fewer calls for a moment; whoever has lost its share for good has still none after longer.
    /// </summary>
    /// <returns>The calls that each got, or null if the shares are fair.</returns>
    private static async Task<string?> FindUnfairAsync(
        Load load, Func<Task<string>> callAsync, int servers, Predicate<IReadOnlyDictionary<string, int>> areFair)
    {
        var clock = Stopwatch.StartNew();
        Dictionary<string, int> first;
        do
        {
            first = await CallAsync(load, callAsync, LeastTime, LeastCalls);
        }
        while (!IsFair(first) && clock.Elapsed < TimeSpan.FromSeconds(20));

        var then = new Dictionary<string, int>();
        clock.Restart();
        do
        {
            foreach (var (server, calls) in await CallAsync(load, callAsync, LeastTime, LeastCalls))
            {
                then[server] = then.GetValueOrDefault(server) + calls;
            }
        }
        while (!IsFair(then) && clock.Elapsed < TimeSpan.FromSeconds(12));

        return IsFair(first) && IsFair(then) ? null : $"{load.Service}: {string.Join(", ", first)}, then {string.Join(", ", then)}";

        bool IsFair(Dictionary<string, int> calls) => calls.Count == servers && areFair(calls);
    }

    /// <summary>Makes calls for so long and so many at least.</summary>
    /// <returns>How many each server answered.</returns>
    private static async Task<Dictionary<string, int>> CallAsync(Load load, Func<Task<string>> callAsync, TimeSpan leastTime, int leastCalls)
    {
        var clock = Stopwatch.StartNew();
        var made = 0;
        var answered = await Task.WhenAll(Enumerable.Range(0, load.Callers).Select(async caller =>
        {
            var calls = new Dictionary<string, int>();
            var interval = TimeSpan.FromSeconds((double)load.Callers / load.CallsPerSecond);
            for (var due = interval * caller / load.Callers; clock.Elapsed < leastTime || Volatile.Read(ref made) < leastCalls; due += interval)
            {
                if (due > clock.Elapsed)
                {
                    await Task.Delay(due - clock.Elapsed);
                }

                var server = await callAsync();
                calls[server] = calls.GetValueOrDefault(server) + 1;
                Interlocked.Increment(ref made);
            }

            return calls;
        }));
        return answered.SelectMany(static c => c).GroupBy(static c => c.Key).ToDictionary(static g => g.Key, static g => g.Sum(static c => c.Value));
    }

    /// <summary>Calls to a service of its own, by callers that each wait for their answer, and for their next call's turn.</summary>
    private sealed record Load(int CallsPerSecond, int AnswerAfterMilliseconds, int Callers)
    {
        public string Service => $"svc-{CallsPerSecond}-{AnswerAfterMilliseconds}-{Callers}";
    }
}
