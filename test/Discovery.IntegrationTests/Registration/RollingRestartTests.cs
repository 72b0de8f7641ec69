using System.Collections.Concurrent;
using System.Diagnostics;
using Discovery.Etcd;
using Discovery.IntegrationTests.Etcd;
using Grpc.Core;
using Helloworld;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Xunit.Abstractions;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>Deployments that roll under load: five processes, eight callers without pause, one process after another restarted.</summary>
[Collection(Alone.Name)]
public sealed class RollingRestartTests(OneNode node, ITestOutputHelper output) : IClassFixture<OneNode>
{
    private const int Instances = 5;
    private const int Callers = 8;
    private const int Kills = 5;

    /// <summary>
    /// Callers without pause and the servers that answer them leave a process that starts a small part of the machine, and of a machine that others
    /// use too hardly any.
    /// </summary>
    private static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(3);

    private static readonly int Restarts = Extent.Of("DISCOVERY_RESTARTS", 10);

    private readonly string _service = NewService();
    private readonly ConcurrentQueue<(long Began, long Ended, RpcException Error)> _failures = new();
    private long _calls;

    [Fact]
    public async Task Restarts_by_SIGTERM_fail_no_call()
    {
        var took = await RollAsync("DrainDelay=00:00:00.3;LeaveDelay=00:00:00.1", Restarts, static greeter => greeter.Process.TerminateAsync());

        Report($"{Restarts} restarts by SIGTERM of {Instances} instances under {Callers} callers: {_failures.Count} of {_calls} calls failed ({took.TotalSeconds:0} s)");
        Assert.Empty(_failures.Select(f => f.Error.Status));
        Assert.True(_calls > 1000, $"Only {_calls} calls were made.");
    }

    [Fact]
    public async Task A_SIGKILL_fails_only_calls_that_were_in_flight_on_that_instance()
    {
        var kills = new List<(long Began, long Ended)>();

        var took = await RollAsync("TimeToLive=00:00:05", Kills, async greeter =>
        {
            var began = Stopwatch.GetTimestamp();
            await greeter.Process.KillAsync();
            kills.Add((began, Stopwatch.GetTimestamp()));
        });

        Report(
            $"{Kills} restarts by SIGKILL of {Instances} instances under {Callers} callers: {_failures.Count} of {_calls} calls failed; "
            + $"each was in flight while an instance was killed ({took.TotalSeconds:0} s)");
        var others = _failures.Where(f => !kills.Exists(k => f.Began <= k.Ended && f.Ended >= k.Began));
        Assert.Empty(others.Select(f => f.Error.Status));

        // A process does not die in an instant: a caller whose call broke may reach it once more while its sockets are still closing.
        Assert.All(kills, k => Assert.InRange(_failures.Count(f => f.Began <= k.Ended && f.Ended >= k.Began), 0, 2 * Callers));
        Assert.All(_failures, f => Assert.Equal(StatusCode.Unavailable, f.Error.StatusCode));
        Assert.True(_calls > 1000, $"Only {_calls} calls were made.");
    }

    private async Task<TimeSpan> RollAsync(string settings, int restarts, Func<GreeterProcess, Task> end)
    {
        await using var client = node.Connect();
        var greeters = Enumerable.Range(0, Instances).Select(_ => new GreeterProcess(node.Etcd.Endpoint, _service, settings)).ToList();
        try
        {
            await Task.WhenAll(greeters.Select(greeter => StartAsync(client, greeter)));
            await using var caller = CreateCaller();
            using var done = new CancellationTokenSource();
            var callers = Enumerable.Range(0, Callers).Select(_ => Task.Run(() => CallAsync(caller, done.Token))).ToList();
            await Eventually.IsTrue(() => _calls > 500);
            var since = Stopwatch.GetTimestamp();
            for (var i = 0; i < restarts; i++)
            {
                var greeter = greeters[i % Instances];
                await end(greeter);
                await greeter.DisposeAsync();
                await StartAsync(client, greeter);
            }

            var took = Stopwatch.GetElapsedTime(since);
            await done.CancelAsync();
            await Task.WhenAll(callers);
            return took;
        }
        finally
        {
            foreach (var greeter in greeters)
            {
                await greeter.DisposeAsync();
            }
        }
    }

    private static async Task StartAsync(EtcdClient client, GreeterProcess greeter)
    {
        var before = (await client.GetAsync(greeter.Key))?.ModRevision;
        await greeter.StartAsync();

        // A killed predecessor's key may still stand: what counts is the put of the new process.
        try
        {
            await Eventually.IsTrue(
                async () => greeter.Process.HasExited
                    ? throw new InvalidOperationException(greeter.Process.Output)
                    : await client.GetAsync(greeter.Key) is { } record && record.ModRevision != before,
                StartLimit);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{greeter.Key} was not put. {greeter.Process.Output}", e);
        }
    }

    private async Task CallAsync(ServiceProvider services, CancellationToken done)
    {
        var greeter = services.GetRequiredService<Greeter.GreeterClient>();
        while (!done.IsCancellationRequested)
        {
            var began = Stopwatch.GetTimestamp();
            try
            {
                await greeter.SayHelloAsync(new HelloRequest { Name = "you" }, deadline: TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(20), cancellationToken: CancellationToken.None);
            }
            catch (RpcException e)
            {
                _failures.Enqueue((began, Stopwatch.GetTimestamp(), e));
            }

            Interlocked.Increment(ref _calls);
        }
    }

    private ServiceProvider CreateCaller()
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection([new("Etcd:Endpoints", node.Etcd.Endpoint)]).Build());
        services.AddEtcdGrpcClient<Greeter.GreeterClient>(_service);
        return services.BuildServiceProvider();
    }

    private void Report(string line)
    {
        output.WriteLine(line);
        Console.WriteLine(line);
    }
}
