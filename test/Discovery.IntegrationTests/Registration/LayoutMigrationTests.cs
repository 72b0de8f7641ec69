using Discovery.AspNetCore;
using Discovery.IntegrationTests.Discovery;
using Discovery.IntegrationTests.Etcd;

namespace Discovery.IntegrationTests.Registration;

/// <summary>The recipe of docs/migration.md, with calls going on all along.</summary>
public sealed class LayoutMigrationTests(OneNode node) : IClassFixture<OneNode>
{
    private readonly string _service = $"svc{Guid.NewGuid():N}";

    [Fact]
    public async Task A_service_moves_to_another_layout_without_a_failed_call()
    {
        await using var etcd = node.Connect();
        await using var one = await TestApp.StartAsync(node.Etcd.Endpoint, _service, "Layout=OpenIm");
        await using var two = await TestApp.StartAsync(node.Etcd.Endpoint, _service, "Layout=OpenIm");
        await one.ReachAsync(ServiceRegistrationState.Registered);
        await two.ReachAsync(ServiceRegistrationState.Registered);
        await using var old = Reader("OpenIm");
        await CallBothAsync(old, one, two);

        // Readers first learn both, and find what stands in the old one only.
        await using var both = Reader("OpenIm, EtcdNaming");
        await CallBothAsync(both, one, two);

        // Servers write both; a reader of either has them, and one of both has each once.
        one.Reload("Layout=OpenIm, EtcdNaming");
        two.Reload("Layout=OpenIm, EtcdNaming");
        await Eventually.IsTrue(() => one.Keys.Count == 2 && two.Keys.Count == 2);
        await one.ReachAsync(ServiceRegistrationState.Registered);
        await two.ReachAsync(ServiceRegistrationState.Registered);
        await using var @new = Reader("EtcdNaming");
        await CallBothAsync(@new, one, two);
        await CallBothAsync(both, one, two);
        await CallBothAsync(old, one, two);
        Assert.Equal(2, both.Snapshot!.Instances.Count);

        // Servers stop writing the old one.
        one.Reload("Layout=EtcdNaming");
        two.Reload("Layout=EtcdNaming");
        await Eventually.IsTrue(async () => (await etcd.ListAsync($"openim:///{_service}/")).Items.Count == 0);
        await CallBothAsync(both, one, two);
        await CallBothAsync(@new, one, two);
        Assert.Equal(2, both.Snapshot!.Instances.Count);
        Assert.Empty(both.Snapshot.HeldAddresses);
    }

    private ServiceClient Reader(string layout) => new(node.Etcd.Endpoint, _service, o => o.Layout = layout);

    /// <summary>Each call succeeds, and each server gets some.</summary>
    private static async Task CallBothAsync(ServiceClient reader, TestApp one, TestApp two)
    {
        var (before1, before2) = (one.Calls, two.Calls);
        await Eventually.IsTrue(async () =>
        {
            Assert.Equal("ok", await reader.Http.GetStringAsync(""));
            return one.Calls > before1 && two.Calls > before2;
        });
    }
}
