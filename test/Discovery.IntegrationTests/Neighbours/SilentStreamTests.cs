using Discovery.IntegrationTests.Etcd;
using Discovery.IntegrationTests.Registration;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Peers.V1;
using InteropClient = Peers.V1.Interop.InteropClient;

namespace Discovery.IntegrationTests.Neighbours;

/// <summary>
/// Streams on which nothing comes for long, both ways at once. A class of its own, so that the wait goes on beside other tests. The
/// variable NEIGHBOUR_SILENCE sets another time in seconds; less than 68 does not find pings that a server in Go objects to.
/// </summary>
public sealed class SilentStreamTests(OneNode node) : IClassFixture<OneNode>
{
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(
        int.TryParse(Environment.GetEnvironmentVariable("NEIGHBOUR_SILENCE"), out var seconds) ? seconds : 75);

    [Fact]
    public async Task Silent_streams_between_ours_and_Go_last()
    {
        var etcd = node.Etcd.Endpoint;
        await using var goServer = await Neighbour.ServeAsync(etcd, "openim", "goes");
        await using var ourServer = await Application.ServeAsync(etcd, "stays", "OpenIm");
        await using var services = Application.Client(etcd, "goes", "OpenIm");

        await using var goClient = await Neighbour.StartAsync("silent", etcd, "openim", "stays", "-silence", $"{Silence.TotalSeconds}s");
        using var call = services.GetRequiredService<InteropClient>().WaitStream(new Message { Number = (int)Silence.TotalMilliseconds });
        var texts = await call.ResponseStream.ReadAllAsync().Select(static m => m.Text).ToListAsync();
        await goClient.SucceedsAsync();

        Assert.Equal(["first", "second"], texts);
        Assert.Contains("received second", goClient.Output);
    }
}
