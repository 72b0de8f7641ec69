using System.Text;
using Discovery.AspNetCore.Tests.Calls;
using Discovery.AspNetCore.Watching;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Discovery.AspNetCore.Tests.Layouts;

/// <summary>A service that is read in several layouts at once.</summary>
public sealed class SeveralLayoutsTests
{
    [Fact]
    public async Task Instances_of_all_layouts_are_found_and_each_once()
    {
        await using var harness = new Harness(settings: ("Etcd:Discovery:Layout", "OpenIm, EtcdNaming, Kratos"));
        harness.Etcd.Put("openim:///svc/10.0.0.1:80", "10.0.0.1:80"u8.ToArray());
        harness.Etcd.Put("services/svc/a", """{"Addr":"10.0.0.1:80","Metadata":{"zone":"z"}}"""u8.ToArray());
        harness.Etcd.Put("/microservices/svc/uuid", """{"name":"svc","endpoints":["grpc://10.0.0.2:80","http://10.0.0.3:80"]}"""u8.ToArray());

        var snapshot = await UntilAsync(harness, static s => s.Instances.Count == 3);

        // The layout that says more counts.
        Assert.Equal("z", snapshot.Find("10.0.0.1:80")!.Zone);
        Assert.Equal(InstanceProtocols.Http1, snapshot.Find("10.0.0.3:80")!.Protocols);
    }

    [Fact]
    public async Task The_list_is_the_same_setting()
    {
        await using var harness = new Harness(settings:
        [
            ("Etcd:Discovery:Layout", "Kitex"), ("Etcd:Discovery:Services:svc:Layouts:0", "OpenIm:im"), ("Etcd:Discovery:Services:svc:Layouts:1", "GoZero"),
        ]);
        harness.Etcd.Put("im:///svc/10.0.0.1:80", "10.0.0.1:80"u8.ToArray());
        harness.Etcd.Put("svc/7587", "10.0.0.2:80"u8.ToArray());
        harness.Etcd.Put("svc/7588", "10.0.0.2:80"u8.ToArray());

        await UntilAsync(harness, static s => s.Instances.Count == 2);
        harness.Etcd.Delete("svc/7587");
        harness.Etcd.Put("svc/7589", "10.0.0.3:80"u8.ToArray());

        // Two keys lead to one address while the lease changes; without one of them it is still there.
        var snapshot = await UntilAsync(harness, static s => s.Instances.Count == 3);
        Assert.NotNull(snapshot.Find("10.0.0.2:80"));
        Assert.Equal("im:///svc/, svc/", snapshot.Prefix);
    }

    [Theory]
    [InlineData("OpenIm, Kratos", "Etcd:Discovery:Layouts", "OpenIm, Kratos")]
    [InlineData("Kitex", "Etcd:Discovery:Layouts", "OpenIm, Kratos", "Etcd:Discovery:Services:svc:Layout", "Kitex")]
    [InlineData("OpenIm", "Etcd:Discovery:Layouts:0", "OpenIm", "Etcd:Discovery:Layout", "Kitex")]
    [InlineData("Kitex, GoZero", "Etcd:Discovery:Layouts:0", "OpenIm", "Etcd:Discovery:Services:svc:Layouts:0", "Kitex", "Etcd:Discovery:Services:svc:Layouts:1", "GoZero")]
    public async Task What_is_set_for_the_service_counts_in_either_form(string expected, params string[] settings)
    {
        await using var harness = new Harness(settings: [.. settings.Chunk(2).Select(static s => (s[0], s[1]))]);

        var options = harness.Services.GetRequiredService<IOptionsMonitor<EtcdDiscoveryOptions>>().Get(Harness.Service);

        Assert.Equal(expected, options.Layout);
        Assert.Equal(expected.Split(", "), options.Layouts);
    }

    [Fact]
    public async Task An_address_that_leaves_one_layout_stays_by_the_other()
    {
        await using var harness = new Harness(settings: ("Etcd:Discovery:Layout", "OpenIm, EtcdNaming"));
        foreach (var address in new[] { "10.0.0.1:80", "10.0.0.2:80" })
        {
            harness.Etcd.Put($"openim:///svc/{address}", Encoding.UTF8.GetBytes(address));
            harness.Register(address);
        }

        await UntilAsync(harness, static s => s.Instances.Count == 2);
        harness.Etcd.Delete("openim:///svc/10.0.0.1:80");
        harness.Etcd.Delete("openim:///svc/10.0.0.2:80");
        harness.Register("10.0.0.3:80");

        var snapshot = await UntilAsync(harness, static s => s.Instances.Count == 3);
        Assert.Empty(snapshot.HeldAddresses);
    }

    [Fact]
    public async Task An_instance_that_drained_in_one_layout_is_not_held_by_another()
    {
        await using var harness = new Harness(settings: ("Etcd:Discovery:Layout", "OpenIm, EtcdNaming"));
        var addresses = Enumerable.Range(1, 4).Select(static i => $"10.0.0.{i}:80").ToList();
        foreach (var address in addresses)
        {
            harness.Etcd.Put($"openim:///svc/{address}", Encoding.UTF8.GetBytes(address));
            harness.Register(address);
        }

        await UntilAsync(harness, static s => s.Instances.Count == 4);
        foreach (var address in addresses)
        {
            harness.Etcd.Put($"services/svc/{address}", Encoding.UTF8.GetBytes($$$"""{"Addr":"{{{address}}}","Metadata":{"draining":true}}"""));
            harness.Etcd.Delete($"openim:///svc/{address}");
        }

        await UntilAsync(harness, static s => s.Instances.Count == 4 && s.Instances.All(static i => i.IsDraining));
        addresses.ForEach(harness.Deregister);

        var snapshot = await UntilAsync(harness, static s => s.Instances.Count == 0);
        Assert.Empty(snapshot.HeldAddresses);
    }

    [Fact]
    public async Task Loopback_is_refused_as_in_one_layout()
    {
        await using var harness = new Harness(o => o.AllowLoopback = false, settings: ("Etcd:Discovery:Layout", "OpenIm, EtcdNaming"));
        await using var server = await BackendServer.StartAsync();
        harness.Etcd.Put($"openim:///svc/{server.Address}", Encoding.UTF8.GetBytes(server.Address));
        using var client = harness.Client();

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync("x"));

        Assert.Contains("none of them may be dialled", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_layout_that_cannot_be_listed_does_not_keep_the_other_from_being_called()
    {
        await using var harness = new Harness(settings: ("Etcd:Discovery:Layout", "OpenIm, EtcdNaming"));
        await using var server = await BackendServer.StartAsync();
        harness.Etcd.Put($"openim:///svc/{server.Address}", Encoding.UTF8.GetBytes(server.Address));
        harness.Etcd.FailingPrefix = "services/svc/";
        using var client = harness.Client();

        Assert.Equal(server.Address, await client.GetStringAsync("x"));
    }

    private static async Task<ServiceSnapshot> UntilAsync(Harness harness, Func<ServiceSnapshot, bool> condition)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        await foreach (var snapshot in harness.Services.GetRequiredService<ServiceDirectory>().SubscribeAsync(Harness.Service, limit.Token))
        {
            if (condition(snapshot))
            {
                return snapshot;
            }
        }

        throw new InvalidOperationException("The directory was disposed.");
    }
}
