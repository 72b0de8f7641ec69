using Discovery.Etcd;

namespace Discovery.IntegrationTests.Etcd;

/// <summary>The tests' own etcd leaves nothing behind, whatever happens to the test.</summary>
public sealed class OwnedEtcdTests
{
    [Fact]
    public async Task An_etcd_does_not_outlive_a_test_that_crashed()
    {
        await using var test = await OwnedProcess.StartAsync(Environment.ProcessPath!, [typeof(OwnedEtcdTests).Assembly.Location, "etcd"]);
        await test.WaitForOutputAsync(output => output.Contains("etcd ", StringComparison.Ordinal));
        var line = test.Output.Split('\n').First(l => l.StartsWith("etcd ", StringComparison.Ordinal)).Split(' ');
        Assert.True(Directory.Exists($"/proc/{line[1]}"));

        await test.KillAsync();

        await Eventually.IsTrue(() => !Directory.Exists($"/proc/{line[1]}") && !Directory.Exists(line[2].Trim()));
    }

    [Fact]
    public async Task Two_clusters_started_together_are_two_clusters()
    {
        await using var one = await EtcdProcess.StartAsync();
        await using var two = await EtcdProcess.StartAsync();
        await using var client1 = Clients.Connect(one.Endpoint);
        await using var client2 = Clients.Connect(two.Endpoint);

        Assert.NotEqual((await client1.GetStatusAsync()).ClusterId, (await client2.GetStatusAsync()).ClusterId);
    }
}
