using Discovery.IntegrationTests.Discovery;
using Discovery.IntegrationTests.Registration;
using Grpc.Core;
using Peers.V1;
using Xunit.Abstractions;
using InteropClient = Peers.V1.Interop.InteropClient;

namespace Discovery.IntegrationTests.Neighbours;

/// <summary>Servers are replaced one by one, gracefully, while they are called. No call may fail.</summary>
internal sealed class Rollout(ITestOutputHelper output, int servers, int rounds, int callsPerRound)
{
    /// <summary>For ours: long enough that who was told of a server's end by etcd has turned away before it ends.</summary>
    public const string Delays = "DrainDelay=00:00:00.2;LeaveDelay=00:00:00.5";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(2);

    /// <summary>Servers in another language, which a client of ours calls.</summary>
    public async Task OfTheirsAsync(string who, InteropClient client, Func<Task<Neighbour>> serveAsync)
    {
        var running = new Queue<Neighbour>();
        var stopped = new List<string>();
        try
        {
            for (var i = 0; i < servers; i++)
            {
                running.Enqueue(await serveAsync());
            }

            await using var load = new Load(() => CallAsync(client));
            for (var i = 0; i < rounds; i++)
            {
                await load.MoreAsync(callsPerRound);
                var next = await serveAsync();
                running.Enqueue(next);
                await Eventually.IsTrue(() => load.Answers.ContainsKey(next.Address), what: $"{next.Address} is called. {string.Join('\n', load.Failures)}");
                await using var last = running.Dequeue();
                stopped.Add(last.Address);
                await last.StopAsync();
            }

            await load.MoreAsync(callsPerRound);
            await load.StopAsync();
            Report(who, load.Answers, load.Failures.Count);
            Assert.True(load.Failures.Count == 0, $"{string.Join('\n', load.Failures)}; stopped in this order: {string.Join(", ", stopped)}");
        }
        finally
        {
            foreach (var server in running)
            {
                await server.DisposeAsync();
            }
        }
    }

    /// <summary>Servers of ours, which a client in another language calls.</summary>
    public async Task OfOursAsync(string who, Func<Task<TestApp>> serveAsync, Func<Task<Neighbour>> startClientAsync)
    {
        var running = new Queue<TestApp>();
        try
        {
            for (var i = 0; i < servers; i++)
            {
                running.Enqueue(await serveAsync());
            }

            await using var client = await startClientAsync();
            for (var i = 0; i < rounds; i++)
            {
                await client.MadeAsync(callsPerRound);
                running.Enqueue(await serveAsync());
                await using var last = running.Dequeue();
                await last.StopAsync();
            }

            await client.MadeAsync(callsPerRound);
            await client.StopAsync();
            Report(who, client.Answers, client.Calls.Failed);
            Assert.True(client.Calls.Failed == 0, client.Output);
            Assert.Equal(servers + rounds, client.Answers.Count);
        }
        finally
        {
            foreach (var server in running)
            {
                await server.DisposeAsync();
            }
        }
    }

    /// <summary>Says for the figures of the run how the calls went.</summary>
    public void Report(string who, IReadOnlyDictionary<string, int> answers, int failed)
        => output.WriteLine($"{who}: {failed} of {answers.Values.Sum() + failed} calls failed; by server {string.Join(", ", answers.Values)}");

    private static async Task<string> CallAsync(InteropClient client)
    {
        await Task.Delay(Pause);
        using var call = client.EchoAsync(new Message { Text = "load" }, deadline: (TimeProvider.System.GetUtcNow() + Limit).UtcDateTime);
        var headers = await call.ResponseHeadersAsync;
        await call;
        return headers.GetValue("served-by") ?? "";
    }
}
