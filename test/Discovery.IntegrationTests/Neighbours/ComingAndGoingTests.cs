using Discovery.IntegrationTests.Discovery;
using Discovery.IntegrationTests.Etcd;
using Discovery.IntegrationTests.Registration;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Peers.V1;
using Xunit.Abstractions;
using InteropClient = Peers.V1.Interop.InteropClient;

namespace Discovery.IntegrationTests.Neighbours;

/// <summary>Servers come and go gracefully while they are called, those in Go and ours.</summary>
public sealed class ComingAndGoingTests(OneNode node, ITestOutputHelper output) : IClassFixture<OneNode>
{
    private const int Servers = 3;

    // More than servers: servers in Go never say that they drain, so when more of them are deleted within 10 s than are left, the deleted ones
    // are held. They refuse, and that must fail no call.
    private const int Rounds = 5;

    private const int CallsPerRound = 200;

    private readonly Rollout _rollout = new(output, Servers, Rounds, CallsPerRound);

    public static TheoryData<string> All => Ways.All;

    private string Etcd => node.Etcd.Endpoint;

    [Theory, MemberData(nameof(All))]
    public async Task No_call_of_ours_fails_when_servers_in_Go_come_and_go(string way)
    {
        var service = RecordReading.NewService();
        await using var services = Application.Client(Etcd, service, Ways.Layouts[way]);
        await _rollout.OfTheirsAsync(
            $"Our client and servers in Go by {way}", services.GetRequiredService<InteropClient>(), () => Neighbour.ServeAsync(Etcd, way, service));
    }

    [Theory]
    [InlineData("openim", "OpenIm")]
    [InlineData("openim3", "EtcdNaming:openim/")]
    [InlineData("naming", "EtcdNaming")]
    [InlineData("gozero", "GoZero")]
    [InlineData("kratos", "Kratos")]
    [InlineData("kitex", "Kitex")]
    public async Task No_call_of_a_client_in_Go_fails_when_servers_of_ours_come_and_go(string way, string layout)
    {
        var service = RecordReading.NewService();
        await _rollout.OfOursAsync(
            $"A client in Go by {way} and our servers",
            () => Application.ServeAsync(Etcd, service, layout, Rollout.Delays),
            () => Neighbour.StartAsync("load", Etcd, way, service));
    }

    [Fact]
    public async Task No_call_of_a_client_in_Go_fails_when_replicas_that_advertise_one_address_come_and_go()
    {
        // What stands in front of them is there all the time, so that only a missing record can fail a call.
        var service = RecordReading.NewService();
        await using var front = await Application.ServeAsync(Etcd, service, "OpenIm", "StartWithdrawn=true");
        var settings = $"AdvertisedUrls={front.Url}";
        var replicas = new Queue<TestApp>();
        try
        {
            for (var i = 0; i < Servers; i++)
            {
                replicas.Enqueue(await Application.ServeAsync(Etcd, service, "OpenIm", settings));
            }

            await using var client = await Neighbour.StartAsync("load", Etcd, "openim", service);
            for (var i = 0; i < Rounds; i++)
            {
                await client.MadeAsync(CallsPerRound);

                // The last one that was started has the key.
                await using var holder = replicas.Last();
                replicas = new Queue<TestApp>(replicas.Where(r => r != holder));
                await holder.StopAsync();
                await client.MadeAsync(CallsPerRound);
                replicas.Enqueue(await Application.ServeAsync(Etcd, service, "OpenIm", settings));
            }

            await client.StopAsync();
            _rollout.Report("A client in Go and replicas of ours behind one address", client.Answers, client.Calls.Failed);
            Assert.True(client.Calls.Failed == 0, client.Output);
            Assert.Single(client.Answers);
        }
        finally
        {
            foreach (var replica in replicas)
            {
                await replica.DisposeAsync();
            }
        }
    }
}
