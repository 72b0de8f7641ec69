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

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(2);

    // Long enough that who was told of a server's end by etcd has turned away before it ends.
    private const string Delays = "DrainDelay=00:00:00.2;LeaveDelay=00:00:00.5";

    public static TheoryData<string> All => Ways.All;

    private string Etcd => node.Etcd.Endpoint;

    [Theory, MemberData(nameof(All))]
    public async Task No_call_of_ours_fails_when_servers_in_Go_come_and_go(string way)
    {
        var service = RecordReading.NewService();
        var servers = new Queue<Neighbour>();
        var order = new List<string>();
        await using var services = Application.Client(Etcd, service, Ways.Layouts[way]);
        try
        {
            for (var i = 0; i < Servers; i++)
            {
                servers.Enqueue(await Neighbour.ServeAsync(Etcd, way, service));
            }

            var client = services.GetRequiredService<InteropClient>();
            await using var load = new Load(() => CallAsync(client));
            for (var i = 0; i < Rounds; i++)
            {
                await load.MoreAsync(CallsPerRound);
                var next = await Neighbour.ServeAsync(Etcd, way, service);
                servers.Enqueue(next);
                await Eventually.IsTrue(() => load.Answers.ContainsKey(next.Address), what: $"{next.Address} is called. {string.Join('\n', load.Failures)}");
                await using var last = servers.Dequeue();
                order.Add(last.Address);
                await last.StopAsync();
            }

            await load.MoreAsync(CallsPerRound);
            await load.StopAsync();
            Report($"Our client and servers in Go by {way}", load.Answers, load.Failures.Count);
            Assert.True(load.Failures.Count == 0, $"{string.Join('\n', load.Failures)}; stopped in this order: {string.Join(", ", order)}");
        }
        finally
        {
            foreach (var server in servers)
            {
                await server.DisposeAsync();
            }
        }
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
        var servers = new Queue<TestApp>();
        try
        {
            for (var i = 0; i < Servers; i++)
            {
                servers.Enqueue(await Application.ServeAsync(Etcd, service, layout, Delays));
            }

            await using var client = await Neighbour.StartAsync("load", Etcd, way, service);
            for (var i = 0; i < Rounds; i++)
            {
                await client.MadeAsync(CallsPerRound);
                servers.Enqueue(await Application.ServeAsync(Etcd, service, layout, Delays));
                await using var last = servers.Dequeue();
                await last.StopAsync();
            }

            await client.MadeAsync(CallsPerRound);
            await client.StopAsync();
            Report($"A client in Go by {way} and our servers", client.Answers, client.Calls.Failed);
            Assert.True(client.Calls.Failed == 0, client.Output);
            Assert.Equal(Servers + Rounds, client.Answers.Count);
        }
        finally
        {
            foreach (var server in servers)
            {
                await server.DisposeAsync();
            }
        }
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
            Report("A client in Go and replicas of ours behind one address", client.Answers, client.Calls.Failed);
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

    private static async Task<string> CallAsync(InteropClient client)
    {
        await Task.Delay(Pause);
        using var call = client.EchoAsync(new Message { Text = "load" }, deadline: (TimeProvider.System.GetUtcNow() + Limit).UtcDateTime);
        var headers = await call.ResponseHeadersAsync;
        await call;
        return headers.GetValue("served-by") ?? "";
    }

    private void Report(string who, IReadOnlyDictionary<string, int> answers, int failed)
        => output.WriteLine($"{who}: {failed} of {answers.Values.Sum() + failed} calls failed; by server {string.Join(", ", answers.Values)}");
}
