using System.Net;
using System.Net.Sockets;
using Discovery.Etcd.Connections;
using Discovery.Etcd.Diagnostics;
using Discovery.Etcd.Protocol;
using Discovery.Etcd.Tls;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discovery.Etcd.Tests.Connections;

public sealed class DialerTests : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<string> _resolved = [];

    public DialerTests()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
    }

    private int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    public void Dispose() => _listener.Dispose();

    [Theory]
    [InlineData("127.0.0.2", "127.0.0.1")]
    [InlineData("127.0.0.1", "127.0.0.2")]
    public async Task A_dead_address_of_a_name_costs_a_moment(params string[] addresses)
    {
        using var dead = new DeadEnd(new IPEndPoint(IPAddress.Parse("127.0.0.2"), Port));

        using var socket = await ConnectAsync(addresses);

        Assert.Equal(new IPEndPoint(IPAddress.Loopback, Port), socket.RemoteEndPoint);
        Assert.Equal(["etcd"], _resolved);
    }

    [Fact]
    public async Task An_address_that_refuses_is_followed_by_the_next_one_at_once()
    {
        var clock = new FakeTimeProvider();

        using var socket = await ConnectAsync(["127.0.0.3", "127.0.0.4", "127.0.0.1"], clock);

        Assert.Equal(new IPEndPoint(IPAddress.Loopback, Port), socket.RemoteEndPoint);
    }

    [Fact]
    public async Task The_families_take_turns()
    {
        // Nothing listens at the discard prefix; whether it is refused or unreachable, the next one is of the other family.
        using var socket = await ConnectAsync(["100::1", "100::2", "100::3", "100::4", "100::5", "127.0.0.1"], new FakeTimeProvider(), TimeSpan.FromSeconds(20));

        Assert.Equal(new IPEndPoint(IPAddress.Loopback, Port), socket.RemoteEndPoint);
    }

    [Fact]
    public async Task Without_an_address_that_answers_the_failure_is_that_of_the_last_one()
    {
        var error = await Assert.ThrowsAsync<SocketException>(() => ConnectAsync(["127.0.0.3", "127.0.0.4"]));
        Assert.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);
        Assert.Equal(SocketError.HostNotFound, (await Assert.ThrowsAsync<SocketException>(() => ConnectAsync([]))).SocketErrorCode);
    }

    [Fact]
    public async Task An_address_is_not_resolved()
    {
        using var socket = await new Dialer(new HostResolver((_, _) => throw new InvalidOperationException()), TimeProvider.System)
            .ConnectAsync(new DnsEndPoint("127.0.0.1", Port), CallKind.Unary, CancellationToken.None);

        Assert.True(socket.Connected);
    }

    [Fact]
    public async Task A_connection_begins_after_the_address_of_the_last_one_of_its_kind()
    {
        using var everywhere = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        everywhere.Bind(new IPEndPoint(IPAddress.Any, 0));
        everywhere.Listen();
        var port = ((IPEndPoint)everywhere.LocalEndPoint!).Port;
        IPAddress[] addresses = [IPAddress.Parse("127.0.0.2"), IPAddress.Parse("127.0.0.3"), IPAddress.Parse("127.0.0.4")];
        var dialer = new Dialer(new HostResolver((_, _) => Task.FromResult(addresses)), new FakeTimeProvider());

        Assert.Equal("127.0.0.2", await DialAsync(CallKind.Unary));
        Assert.Equal("127.0.0.3", await DialAsync(CallKind.Unary));
        Assert.Equal("127.0.0.2", await DialAsync(CallKind.Stream));
        Assert.Equal("127.0.0.4", await DialAsync(CallKind.Unary));
        Assert.Equal("127.0.0.2", await DialAsync(CallKind.Unary));

        // Resolvers shuffle, and members go.
        Array.Reverse(addresses);
        Assert.Equal("127.0.0.4", await DialAsync(CallKind.Unary));
        addresses = addresses[1..];
        Assert.Equal("127.0.0.3", await DialAsync(CallKind.Unary));

        async Task<string> DialAsync(CallKind kind)
        {
            using var socket = await dialer.ConnectAsync(new DnsEndPoint("etcd", port), kind, CancellationToken.None);
            return ((IPEndPoint)socket.RemoteEndPoint!).Address.ToString();
        }
    }

    [Fact]
    public async Task A_second_connection_goes_past_the_member_that_accepts_connections_and_is_frozen()
    {
        await using var server = await ScriptedServer.StartAsync();
        server.On(EtcdMethods.Put, () => new PutResponse { Header = new ResponseHeader { Revision = 3 } });
        var uri = new Uri($"http://etcd:{new Uri(server.Endpoint).Port}");
        using var frozen = new TcpListener(IPAddress.Parse("127.0.0.2"), uri.Port);
        frozen.Start();
        using var metrics = new EtcdMetrics(null, null);
        var factory = new ConnectionFactory(
            new EtcdClientOptions(),
            new TlsFiles(new EtcdTlsOptions(), NullLogger.Instance),
            new Dialer(new HostResolver((_, _) => Task.FromResult<IPAddress[]>([IPAddress.Parse("127.0.0.2"), IPAddress.Loopback])), TimeProvider.System),
            metrics);
        using var endpoint = new EtcdEndpoint(uri, kind => factory.Connect(uri, kind), TimeProvider.System);
        var unanswered = new KV.KVClient(endpoint.Calls.Rent().Invoker).PutAsync(new PutRequest()).ResponseAsync;
        using var accepted = await frozen.AcceptSocketAsync().WaitAsync(TimeSpan.FromSeconds(20));

        // The system accepts a connection before whoever dials has heard of it; what is sent comes after.
        await accepted.ReceiveAsync(new byte[1]).WaitAsync(TimeSpan.FromSeconds(20));
        var answer = await new KV.KVClient(endpoint.Calls.RentSecond().Invoker).PutAsync(new PutRequest()).ResponseAsync.WaitAsync(TimeSpan.FromSeconds(20));

        Assert.Equal(3, answer.Header.Revision);
        endpoint.Dispose();
        await Assert.ThrowsAnyAsync<Exception>(() => unanswered);
    }

    [Fact]
    public async Task The_caller_ends_it()
    {
        using var dead = new DeadEnd(new IPEndPoint(IPAddress.Parse("127.0.0.2"), Port));
        using var cancelled = new CancellationTokenSource();
        var connecting = new Dialer(new HostResolver((_, _) => Task.FromResult<IPAddress[]>([IPAddress.Parse("127.0.0.2")])), TimeProvider.System)
            .ConnectAsync(new DnsEndPoint("etcd", Port), CallKind.Unary, cancelled.Token);

        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connecting);
    }

    /// <summary>As on Unix where a name server is silent: there the system's look-up is a blocking call.</summary>
    [Fact]
    public async Task The_caller_ends_it_also_while_a_name_is_resolved_which_nothing_ends()
    {
        var resolving = new TaskCompletionSource<IPAddress[]>();
        using var cancelled = new CancellationTokenSource();
        var connecting = new Dialer(new HostResolver((_, _) => resolving.Task), TimeProvider.System)
            .ConnectAsync(new DnsEndPoint("etcd", Port), CallKind.Unary, cancelled.Token);

        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connecting.WaitAsync(TimeSpan.FromSeconds(20)));
    }

    private async Task<Socket> ConnectAsync(string[] addresses, TimeProvider? clock = null, TimeSpan? limit = null)
    {
        var dialer = new Dialer(
            new HostResolver((name, _) =>
            {
                _resolved.Add(name);
                return Task.FromResult<IPAddress[]>([.. addresses.Select(IPAddress.Parse)]);
            }),
            clock ?? TimeProvider.System);
        var connecting = dialer.ConnectAsync(new DnsEndPoint("etcd", Port), CallKind.Unary, CancellationToken.None);
        if (clock is FakeTimeProvider fake && limit is not null)
        {
            await Eventually.IsTrue(() =>
            {
                fake.Advance(TimeSpan.FromMilliseconds(200));
                return connecting.IsCompleted;
            });
        }

        return await connecting.WaitAsync(TimeSpan.FromSeconds(20));
    }

    /// <summary>Listens, and lets connections wait for ever: its queue is full and nobody takes from it.</summary>
    private sealed class DeadEnd : IDisposable
    {
        private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        private readonly List<Socket> _waiting = [];

        public DeadEnd(IPEndPoint address)
        {
            _socket.Bind(address);
            _socket.Listen(0);
            Task connecting;
            do
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                _waiting.Add(socket);
                connecting = socket.ConnectAsync(address);
            }
            while (connecting.Wait(TimeSpan.FromMilliseconds(500)));
            _ = connecting.ContinueWith(static t => _ = t.Exception, TaskScheduler.Default);
        }

        public void Dispose()
        {
            _waiting.ForEach(w => w.Dispose());
            _socket.Dispose();
        }
    }
}
