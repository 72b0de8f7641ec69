using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Discovery.AspNetCore.Connections;

namespace Discovery.AspNetCore.Tests.Connections;

public sealed class AddressRaceTests
{
    [Fact]
    public async Task A_silent_address_delays_the_next_by_a_moment_only()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        using var hole = new BlackHole(new IPEndPoint(IPAddress.Parse("127.0.0.2"), port));
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var clock = Stopwatch.StartNew();

        using var socket = await AddressRace.ConnectAsync([IPAddress.Parse("127.0.0.2"), IPAddress.Loopback], port, limit.Token);

        Assert.Equal(IPAddress.Loopback, ((IPEndPoint)socket.RemoteEndPoint!).Address);
        Assert.InRange(clock.Elapsed, TimeSpan.FromMilliseconds(150), TimeSpan.FromSeconds(15));
    }

    [Fact]
    public async Task An_address_that_refuses_delays_the_next_not_at_all_and_when_all_do_the_last_refusal_is_thrown()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        var refusing = Enumerable.Range(2, 100).Select(static i => IPAddress.Parse($"127.0.0.{i}")).ToList();
        var clock = Stopwatch.StartNew();

        using var socket = await AddressRace.ConnectAsync([.. refusing, IPAddress.Loopback], port, CancellationToken.None);

        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(10));
        var e = await Assert.ThrowsAsync<SocketException>(() => AddressRace.ConnectAsync(refusing, port, CancellationToken.None));
        Assert.Equal(SocketError.ConnectionRefused, e.SocketErrorCode);
    }

    [Fact]
    public async Task A_cancelled_race_closes_its_sockets()
    {
        using var hole = new BlackHole();
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
        var addresses = new[] { IPAddress.Loopback, IPAddress.Loopback };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => AddressRace.ConnectAsync(addresses, hole.Port, limit.Token));
    }

    [Fact]
    public void Families_alternate_in_the_order_of_the_resolver()
    {
        IPAddress[] resolved = [.. new[] { "fd00::1", "fd00::2", "10.0.0.1", "fd00::3", "10.0.0.2" }.Select(IPAddress.Parse)];

        Assert.Equal(
            ["fd00::1", "10.0.0.1", "fd00::2", "10.0.0.2", "fd00::3"], AddressRace.Alternate(resolved).Select(static a => a.ToString()));
    }

    [Fact]
    public async Task The_system_finds_out_that_a_machine_is_gone()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();

        using var socket = await AddressRace.ConnectAsync([IPAddress.Loopback], ((IPEndPoint)listener.LocalEndpoint).Port, CancellationToken.None);

        Assert.NotEqual(0, socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive));
        Assert.Equal(20, socket.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime));
        if (OperatingSystem.IsLinux())
        {
            var timeout = new byte[4];
            socket.GetRawSocketOption(6, 18, timeout);
            Assert.Equal(30_000, BitConverter.ToInt32(timeout));
        }
    }
}
