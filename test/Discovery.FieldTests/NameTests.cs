using System.Net;
using Discovery.FieldTests.Support;

namespace Discovery.FieldTests;

/// <summary>Names that have several addresses, of which the first does not answer, and names that move.</summary>
public sealed class NameTests
{
    private static readonly IPAddress First = IPAddress.Parse("127.0.0.2");
    private static readonly IPAddress Second = IPAddress.Parse("127.0.0.3");

    [NamedCallerFact]
    public async Task An_instance_is_called_though_the_first_address_of_its_name_does_not_answer()
    {
        await using var field = await Field.StartAsync();
        using var dead = new BlackHole(new IPEndPoint(First, 0));
        await using var server = await BackendServer.StartAsync(address: new IPEndPoint(Second, dead.Port));
        await field.RegisterAsync($"instance.test:{dead.Port}");

        await using var caller = await NamedCaller.StartAsync(field.Etcd, connectionSeconds: 3600, $"{First} instance.test", $"{Second} instance.test");

        await caller.WaitForAsync(server.Address);
    }

    [NamedCallerFact]
    public async Task Etcd_is_reached_though_the_first_address_of_its_name_does_not_answer()
    {
        await using var field = await Field.StartAsync();
        var server = await field.StartServerAsync();
        var etcd = new Uri(field.Etcd);
        using var dead = new BlackHole(new IPEndPoint(First, etcd.Port));

        await using var caller = await NamedCaller.StartAsync(
            $"http://etcd.test:{etcd.Port}", connectionSeconds: 3600, $"{First} etcd.test", $"{etcd.Host} etcd.test");

        await caller.WaitForAsync(server.Address);
    }

    [NamedCallerFact]
    public async Task A_name_that_moves_is_followed_while_both_addresses_answer()
    {
        await using var field = await Field.StartAsync();
        await using var before = await BackendServer.StartAsync(address: new IPEndPoint(First, 0));
        await using var after = await BackendServer.StartAsync(address: new IPEndPoint(Second, new Uri($"http://{before.Address}").Port));
        await field.RegisterAsync(before.Address.Replace($"{First}", "instance.test", StringComparison.Ordinal));
        await using var caller = await NamedCaller.StartAsync(field.Etcd, connectionSeconds: 1, $"{First} instance.test");
        await caller.WaitForAsync(before.Address);

        caller.SetHosts($"{Second} instance.test");

        await caller.WaitForAsync(after.Address);
    }
}
