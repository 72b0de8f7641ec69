using System.Diagnostics;
using Discovery.Etcd;
using Discovery.IntegrationTests.Etcd;
using Xunit.Abstractions;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>A real process that is killed, paused or told to end.</summary>
[Collection(Alone.Name)]
public sealed class ProcessTests(OneNode node, ITestOutputHelper output) : IClassFixture<OneNode>
{
    private readonly string _service = NewService();

    [Fact]
    public async Task A_killed_process_is_gone_within_its_time_to_live_and_a_terminated_one_at_once()
    {
        await using var client = node.Connect();
        await using var killed = await StartAsync(client, "TimeToLive=00:00:02");
        await using var terminated = await StartAsync(client, "DrainDelay=0;LeaveDelay=0");
        var lease = (await client.GetAsync(killed.Key))!.LeaseId;

        await killed.Process.KillAsync();
        var since = Stopwatch.GetTimestamp();
        await terminated.Process.TerminateAsync();
        Assert.Null(await client.GetAsync(terminated.Key));
        await Eventually.IsTrue(async () => await client.GetAsync(killed.Key) is null);

        // etcd looks for expired leases twice a second, and revokes them through its log.
        Report($"killed: gone after {Stopwatch.GetElapsedTime(since).TotalSeconds:0.00} s, with a time to live of 2 s");
        Assert.True(Stopwatch.GetElapsedTime(since) < TimeSpan.FromSeconds(4));
        Assert.Null(await client.RenewLeaseAsync(lease));
    }

    [Fact]
    public async Task A_process_that_was_paused_for_longer_than_its_time_to_live_is_back_within_a_second()
    {
        await using var client = node.Connect();
        await using var greeter = await StartAsync(client, "TimeToLive=00:00:02");
        await greeter.Process.PauseAsync();
        await Eventually.IsTrue(async () => await client.GetAsync(greeter.Key) is null);

        var since = Stopwatch.GetTimestamp();
        await greeter.Process.ResumeAsync();
        await Eventually.IsTrue(async () => await client.GetAsync(greeter.Key) is not null);
        var took = Stopwatch.GetElapsedTime(since);

        Report($"paused for longer than the time to live: back {took.TotalMilliseconds:0} ms after SIGCONT");
        Assert.True(took < TimeSpan.FromSeconds(1), $"It took {took}.");
        Assert.DoesNotContain("Hosting failed", greeter.Process.Output, StringComparison.Ordinal);
    }

    private async Task<GreeterProcess> StartAsync(EtcdClient client, string settings)
    {
        var greeter = new GreeterProcess(node.Etcd.Endpoint, _service, settings);
        await greeter.StartAsync();
        await Eventually.IsTrue(
            async () => greeter.Process.HasExited ? throw new InvalidOperationException(greeter.Process.Output) : await client.GetAsync(greeter.Key) is not null);
        return greeter;
    }

    private void Report(string line)
    {
        output.WriteLine(line);
        Console.WriteLine(line);
    }
}
