using Discovery.AspNetCore;
using Discovery.Etcd;
using Discovery.IntegrationTests.Etcd;
using static Discovery.IntegrationTests.Etcd.Clients;

namespace Discovery.IntegrationTests.Discovery;

public sealed class DirectoryTests(OneNode node) : IClassFixture<OneNode>
{
    [Fact]
    public async Task A_client_sees_instances_come_and_go_and_garbage_beside_them_harms_nobody()
    {
        await using var etcd = node.Connect();
        await using var fleet = new Fleet(etcd);
        await using var client = new ServiceClient(node.Etcd.Endpoint, fleet.Service);
        var first = await fleet.AddAsync();
        Assert.Equal(first.Address, await client.Http.GetStringAsync("x"));

        await etcd.PutAsync(fleet.Prefix + "garbage", new byte[] { 0xff, 0x00 });
        await etcd.PutAsync(fleet.Prefix + "wildcard", Fleet.Record("0.0.0.0:80"));
        var second = await fleet.AddAsync();
        await Eventually.IsTrue(() => client.Snapshot!.Instances.Count == 2);
        Assert.Equal(2, client.Directory.GetStatus(fleet.Service).SkippedRecords);
        await Eventually.IsTrue(async () => await client.Http.GetStringAsync("x") == second.Address);

        await fleet.DeregisterAsync(first.Address);
        await Eventually.IsTrue(() => client.Pool.Current!.Instances.Count == 1);
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(second.Address, await client.Http.GetStringAsync("x"));
        }
    }

    [Fact]
    public async Task No_event_is_lost_between_list_and_watch_under_a_writer_that_never_pauses()
    {
        await using var etcd = node.Connect();
        await using var fleet = new Fleet(etcd);
        var clients = new List<ServiceClient>();
        using var stop = new CancellationTokenSource();
        var writing = Task.Run(async () =>
        {
            var random = new Random(1);
            for (var i = 0; !stop.IsCancellationRequested; i++)
            {
                var address = $"10.0.0.{random.Next(1, 20)}:80";
                if (random.Next(2) == 0)
                {
                    await fleet.RegisterAsync(address);
                }
                else
                {
                    await fleet.DeregisterAsync(address);
                }
            }
        });

        for (var i = 0; i < 20; i++)
        {
            // Held instances would hide a lost deletion.
            var client = new ServiceClient(node.Etcd.Endpoint, fleet.Service, o => o.HoldDuration = TimeSpan.Zero);
            clients.Add(client);
            await client.Directory.WaitForReadyAsync(fleet.Service);
        }

        await stop.CancelAsync();
        await writing;
        var last = await fleet.AddAsync();
        var truth = (await etcd.ListAsync(fleet.Prefix)).Items.Select(r => r.Key[fleet.Prefix.Length..]).Order().ToList();
        foreach (var client in clients)
        {
            await Eventually.IsTrue(() => client.Snapshot!.Find(last.Address) is not null);
            Assert.Equal(truth, client.Snapshot!.Instances.Select(i => i.Address).Order());
            await client.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_subscriber_gets_the_newest_snapshot_and_ends_with_the_application()
    {
        await using var etcd = node.Connect();
        await using var fleet = new Fleet(etcd);
        await fleet.RegisterAsync("10.0.0.1:80");
        var client = new ServiceClient(node.Etcd.Endpoint, fleet.Service);
        var seen = new List<ServiceSnapshot>();
        var reading = Task.Run(async () =>
        {
            await foreach (var snapshot in client.Directory.SubscribeAsync(fleet.Service))
            {
                seen.Add(snapshot);
            }
        });
        await Eventually.IsTrue(() => client.Snapshot is not null);

        await fleet.RegisterAsync("10.0.0.2:80");
        await Eventually.IsTrue(() => client.Snapshot!.Instances.Count == 2);
        var status = Assert.Single(client.Directory.Services);
        Assert.Equal((fleet.Service, fleet.Prefix, true, true, 0), (status.ServiceName, status.Prefix, status.IsReady, status.IsConnected, status.SkippedRecords));
        Assert.InRange(status.Age!.Value, TimeSpan.Zero, TimeSpan.FromSeconds(30));
        await client.DisposeAsync();

        await reading.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(ServiceChangeReason.Watched, seen[^1].Reason);
        Assert.Equal(2, seen[^1].Instances.Count);
        Assert.Throws<ArgumentException>(() => new ServiceClient(node.Etcd.Endpoint, "a/b"));
    }

    [Fact]
    public async Task Ten_thousand_instances_are_listed_and_followed()
    {
        await using var etcd = node.Connect();
        await using var fleet = new Fleet(etcd);
        for (var i = 0; i < 10_000; i += 100)
        {
            await etcd.ExecuteAsync(new EtcdTransaction
            {
                Then = [.. Enumerable.Range(i, 100).Select(n => $"10.{n / 60_000}.{n / 250}.{(n % 250) + 1}:80")
                    .Select(a => EtcdOperation.Put(fleet.Prefix + a, Fleet.Record(a)))],
            });
        }

        await using var client = new ServiceClient(node.Etcd.Endpoint, fleet.Service);
        var snapshot = await client.Directory.WaitForReadyAsync(fleet.Service);
        Assert.Equal(10_000, snapshot.Instances.Count);

        await fleet.RegisterAsync("10.9.9.9:80");
        await Eventually.IsTrue(() => client.Snapshot!.Find("10.9.9.9:80") is not null);
    }
}
