using System.Net.Sockets;
using System.Reflection;
using Discovery.IntegrationTests.Etcd;
using static Discovery.IntegrationTests.Registration.RecordReading;

namespace Discovery.IntegrationTests.Registration;

/// <summary>On a machine of its own, whose etcd is reached by loopback, as through a forwarded port or a gateway.</summary>
public sealed class NetworkNamespaceTests(OneNode node) : IClassFixture<OneNode>
{
    private const int Port = 5000;

    private readonly string _service = NewService();

    [NetworkNamespaceFact]
    public async Task What_is_registered_can_be_dialled_from_another_machine_and_follows_the_machines_address()
    {
        await using var machine = NetworkNamespace.Create();
        await using var client = node.Connect();
        var port = FreePort.Next();
        await using var outer = await ForwardAsync([], new Uri(node.Etcd.Endpoint).Authority, $"{machine.Gateway}:{port}");
        await using var inner = await ForwardAsync(["ip", "netns", "exec", machine.Name], $"{machine.Gateway}:{port}", "127.0.0.1:2379");
        await using var server = await OwnedProcess.StartAsync("ip",
        [
            "netns", "exec", machine.Name, Environment.ProcessPath!, Program(), $"--Kestrel:Endpoints:Grpc:Url=http://*:{Port}",
            "--Etcd:Endpoints=http://127.0.0.1:2379", $"--Etcd:Registration:ServiceName={_service}",
        ]);

        await StandsAtAsync(machine.Address);

        // The other prefix makes it an address of its own; one of the same network would go with the first.
        machine.AddAddress(machine.OtherAddress, 25);
        machine.RemoveAddress(machine.Address, 24);
        await StandsAtAsync(machine.OtherAddress);

        async Task StandsAtAsync(string address)
        {
            await Eventually.IsTrue(
                async () =>
                {
                    server.ThrowIfExited();
                    return await client.RecordsAsync(_service) is [var only] && only.Key == $"services/{_service}/{address}:{Port}";
                },
                TimeSpan.FromSeconds(60),
                $"It stands at {address}");
            using var dialled = new TcpClient();
            await dialled.ConnectAsync(address, Port).WaitAsync(TimeSpan.FromSeconds(10));
        }
    }

    [NetworkNamespaceFact]
    public async Task A_machine_with_IPv6_alone_is_registered_where_it_can_be_dialled()
    {
        await using var machine = NetworkNamespace.Create();
        var (gateway, address) = machine.UseIpv6Alone();
        await using var client = node.Connect();
        var port = FreePort.Next();
        await using var outer = await ForwardAsync([], new Uri(node.Etcd.Endpoint).Authority, $"{gateway}:{port}");
        await using var server = await OwnedProcess.StartAsync("ip",
        [
            "netns", "exec", machine.Name, Environment.ProcessPath!, Program(), $"--Kestrel:Endpoints:Grpc:Url=http://*:{Port}",
            $"--Etcd:Endpoints=http://{gateway}:{port}", $"--Etcd:Registration:ServiceName={_service}",
        ]);

        await Eventually.IsTrue(
            async () =>
            {
                server.ThrowIfExited();
                return await client.RecordsAsync(_service) is [var only] && only.Key == $"services/{_service}/{address}:{Port}";
            },
            TimeSpan.FromSeconds(60),
            $"It stands at {address}");
        using var dialled = new TcpClient(AddressFamily.InterNetworkV6);
        await dialled.ConnectAsync(address.Trim('[', ']'), Port).WaitAsync(TimeSpan.FromSeconds(10));
    }

    private static Task<OwnedProcess> ForwardAsync(string[] before, string to, string listen)
    {
        string[] command = [.. before, EtcdBinary.Etcd, "gateway", "start", $"--endpoints={to}", $"--listen-addr={listen}"];
        return OwnedProcess.StartAsync(command[0], command[1..]);
    }

    private static string Program() => typeof(NetworkNamespaceTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(static attribute => attribute.Key == "GreeterServer").Value!;
}
