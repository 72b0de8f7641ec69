using Discovery.AspNetCore;
using Discovery.IntegrationTests.Discovery;
using Discovery.IntegrationTests.Etcd;
using Discovery.IntegrationTests.Registration;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Peers.V1;
using InteropClient = Peers.V1.Interop.InteropClient;

namespace Discovery.IntegrationTests.Neighbours;

/// <summary>What is particular to servers of go-zero: a key with the lease's id in it, and a registration before they listen.</summary>
public sealed class GoZeroTests(OneNode node) : IClassFixture<OneNode>
{
    private const int Calls = 100;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly string _service = RecordReading.NewService();

    [Fact]
    public async Task A_server_whose_lease_changes_is_one_instance_and_no_call_fails()
    {
        // With a TTL of 2 s and a new lease every second there are two keys most of the time.
        await using var changing = await Neighbour.ServeAsync(node.Etcd.Endpoint, "gozero", _service, "-new-lease", "1s", "-ttl", "2");
        await using var steady = await Neighbour.ServeAsync(node.Etcd.Endpoint, "gozero", _service);
        await using var services = Application.Client(node.Etcd.Endpoint, _service, "GoZero");
        var client = services.GetRequiredService<InteropClient>();
        var directory = services.GetRequiredService<IServiceDirectory>();
        await using var etcd = node.Connect();
        var seen = new HashSet<string>();
        var isDouble = false;

        await using var load = new Load(() => CallAsync(client));
        await Eventually.IsTrue(
            async () =>
            {
                var keys = (await etcd.ListAsync(_service + "/")).Items.Select(static i => i.Key).ToList();
                isDouble |= keys.Count > 2;
                seen.UnionWith(keys);
                var shown = directory.GetSnapshot(_service)?.Instances.Select(static i => i.Address).ToList();
                Assert.True(shown is null || shown.Count == shown.Distinct().Count(), string.Join(", ", shown ?? []));
                return seen.Count >= 5;
            },
            Patience);
        await load.MoreAsync(Calls);
        await load.StopAsync();

        Assert.True(isDouble);
        Assert.Empty(load.Failures);
        Assert.Equal(new[] { changing.Address, steady.Address }.Order(), load.Answers.Keys.Order());
        Assert.Equal(
            new[] { changing.Address, steady.Address }.Order(), directory.GetSnapshot(_service)!.Instances.Select(static i => i.Address).Order());
    }

    [Fact]
    public async Task A_server_that_registers_before_it_listens_fails_no_call()
    {
        await using var first = await Neighbour.ServeAsync(node.Etcd.Endpoint, "gozero", _service);
        await using var services = Application.Client(node.Etcd.Endpoint, _service, "GoZero");
        var client = services.GetRequiredService<InteropClient>();
        var directory = services.GetRequiredService<IServiceDirectory>();

        await using var load = new Load(() => CallAsync(client));
        await load.MoreAsync(Calls);
        await using var late = await Neighbour.StartAsync("serve", node.Etcd.Endpoint, "gozero", _service, "-listen-delay", "500ms");
        await Eventually.IsTrue(() => directory.GetSnapshot(_service)!.Instances.Count == 2, Patience, "the server is registered that does not listen yet");
        Assert.Equal("", late.Address);

        // It is called once it listens, though its first connections were refused: after its ejection of 5 s, and when the failures are forgotten,
        // which takes the longer the slower the calls before them were, here the first ones of a cold process.
        await Eventually.IsTrue(() => load.Answers.Count == 2, 3 * Patience, "the server is called that has begun to listen");
        await load.StopAsync();

        Assert.Empty(load.Failures);
        Assert.Contains(late.Address, load.Answers.Keys);
    }

    private static async Task<string> CallAsync(InteropClient client)
    {
        using var call = client.EchoAsync(new Message { Text = "load" }, deadline: (TimeProvider.System.GetUtcNow() + Patience).UtcDateTime);
        var headers = await call.ResponseHeadersAsync;
        await call;
        await Task.Delay(2);
        return headers.GetValue("served-by") ?? "";
    }
}
