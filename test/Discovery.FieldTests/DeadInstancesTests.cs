using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Discovery.AspNetCore;
using Discovery.FieldTests.Support;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Discovery.FieldTests;

/// <summary>Calls to a service whose instances cannot be connected to.</summary>
public sealed class DeadInstancesTests
{
    [Fact]
    public async Task Of_three_hundred_dead_instances_a_call_tries_three()
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 300; i++)
        {
            await field.RegisterAsync(Field.DeadAddress(i));
        }

        using var client = field.Client();
        for (var i = 0; i < 20; i++)
        {
            var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));
            Assert.Contains("No connection to service 'svc': 3 instances tried", e.Message, StringComparison.Ordinal);
            Assert.Contains("refused", e.Message, StringComparison.Ordinal);
        }
    }

    /// <summary>They accept, and break off amid the handshake of TLS, so that each connect is seen where it arrives.</summary>
    [Fact]
    public async Task A_call_connects_to_three_of_three_hundred_and_to_none_outside_the_subset()
    {
        await using var field = await Field.StartAsync();
        var servers = new List<ResettingServer>();
        for (var i = 0; i < 300; i++)
        {
            var server = new ResettingServer();
            field.Own(server);
            servers.Add(server);
            await field.RegisterAsync(server.Address, "\"scheme\":\"https\"");
        }

        using var client = field.Client(static o => (o.Scheme, o.SubsetSize) = ("https", 20));
        for (var i = 1; i <= 30; i++)
        {
            var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));
            Assert.Contains("3 instances tried", e.Message, StringComparison.Ordinal);
            Assert.Equal(3 * i, servers.Sum(static s => s.Connections));
        }

        Assert.InRange(servers.Count(static s => s.Connections > 0), 4, 20);
    }

    [Fact]
    public async Task A_log_that_cannot_be_written_costs_no_call_and_the_dead_are_left_out()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync();
        for (var i = 0; i < 3; i++)
        {
            await field.RegisterAsync(Field.DeadAddress(i));
        }

        using var log = new FullDiskLog(LogLevel.Warning);
        using var client = field.Client(
            static o => (o.MaxConnectAttempts, o.SlowStart) = (5, TimeSpan.Zero), b => b.Services.AddLogging(l => l.ClearProviders().AddProvider(log)));
        await Eventually.IsTrue(async () =>
        {
            await client.GetStringAsync("x");
            return log.Lost > 0;
        });

        // That they are left out is what was to be logged.
        for (var i = 0; i < 50; i++)
        {
            await client.GetStringAsync("x");
        }
    }

    [Fact]
    public async Task How_many_are_tried_is_a_setting()
    {
        await using var field = await Field.StartAsync();
        for (var i = 0; i < 10; i++)
        {
            await field.RegisterAsync(Field.DeadAddress(i));
        }

        using var client = field.Client(o => o.MaxConnectAttempts = 5);

        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));
        Assert.Contains("5 instances tried", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Instances_that_answer_no_connect_cost_a_call_twice_the_connect_timeout_at_most()
    {
        await using var field = await Field.StartAsync();
        var holes = Enumerable.Range(0, 5).Select(_ => new BlackHole()).ToList();
        foreach (var hole in holes)
        {
            await field.RegisterAsync(hole.Address);
        }

        using var client = field.Client(o => (o.ConnectTimeout, o.MaxConnectAttempts) = (TimeSpan.FromSeconds(1), 5));
        var clock = Stopwatch.StartNew();

        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));

        // Not all five: after twice the limit no further one is tried, and a timer may end a moment early or late.
        Assert.Matches("[1-3] instances? tried", e.Message);
        Assert.InRange(clock.Elapsed, TimeSpan.FromSeconds(1.9), TimeSpan.FromSeconds(15));
        holes.ForEach(static h => h.Dispose());
    }

    [Fact]
    public async Task After_one_slow_connect_the_only_instance_is_called_again_at_once()
    {
        await using var field = await Field.StartAsync();
        var hole = new BlackHole();
        await field.RegisterAsync(hole.Address);
        using var client = field.Client(o => o.ConnectTimeout = TimeSpan.FromSeconds(3));
        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));

        var port = hole.Port;
        hole.Dispose();
        await using var server = await BackendServer.StartAsync(listen: null, address: new IPEndPoint(IPAddress.Loopback, port));
        await Task.Delay(TimeSpan.FromMilliseconds(200));

        Assert.Equal(hole.Address, await client.GetStringAsync("x"));
    }

    /// <summary>The other port is none that the call could go to.</summary>
    [Fact]
    public async Task After_one_slow_connect_the_only_port_for_a_call_is_called_again_at_once()
    {
        await using var field = await Field.StartAsync();
        var hole = new BlackHole();
        await field.RegisterAsync(hole.Address, "\"protocols\":\"h1\"");
        await field.StartServerAsync(static c => GrpcAnswer.SendAsync(c, "hello"), HttpProtocols.Http2, metadata: "\"protocols\":\"h2\"");

        // Long enough that the call after it is within that time of it, however busy the machine.
        using var client = field.Client(o => o.ConnectTimeout = TimeSpan.FromSeconds(5));
        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"));

        var port = hole.Port;
        hole.Dispose();
        await using var server = await BackendServer.StartAsync(listen: null, address: new IPEndPoint(IPAddress.Loopback, port));
        await Task.Delay(TimeSpan.FromMilliseconds(200));

        Assert.Equal(hole.Address, await client.GetStringAsync("x"));
    }

    [Fact]
    public async Task After_a_moment_without_network_all_instances_are_called_again_at_once()
    {
        await using var field = await Field.StartAsync();
        var holes = new[] { new BlackHole(), new BlackHole() };
        foreach (var hole in holes)
        {
            await field.RegisterAsync(hole.Address);
        }

        using var client = field.Client(static o => (o.Policy, o.ConnectTimeout, o.MaxConnectAttempts) = ("RoundRobin", TimeSpan.FromSeconds(5), 1));
        await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("x"))));

        var ports = holes.Select(static h => h.Port).ToList();
        foreach (var hole in holes)
        {
            hole.Dispose();
        }

        foreach (var port in ports)
        {
            field.Own(await BackendServer.StartAsync(listen: null, address: new IPEndPoint(IPAddress.Loopback, port)));
        }

        await Task.Delay(TimeSpan.FromMilliseconds(200));

        Assert.Contains(await client.GetStringAsync("x"), holes.Select(static h => h.Address));
    }

    [Fact]
    public async Task A_connect_timeout_of_the_transport_leaves_time_for_another_instance()
    {
        await using var field = await Field.StartAsync();
        using var hole = new BlackHole();
        await field.RegisterAsync(hole.Address);
        var server = await field.StartServerAsync();
        using var client = field.Client(
            static o => (o.Policy, o.ConnectTimeout) = ("RoundRobin", TimeSpan.FromMilliseconds(50)),
            static b => b.ConfigureEtcdTransport(static t => t.ConnectTimeout = TimeSpan.FromSeconds(3)));

        for (var i = 0; i < 4; i++)
        {
            Assert.Equal(server.Address, await client.GetStringAsync("x"));
        }
    }

    [Fact]
    public async Task The_log_says_who_is_ejected_and_why_it_could_not_be_connected_to()
    {
        await using var field = await Field.StartAsync();
        await field.StartServerAsync();
        await field.RegisterAsync(Field.DeadAddress(1));
        using var client = field.Client(static o => o.Policy = "RoundRobin");

        await Eventually.IsTrue(async () =>
        {
            await client.GetStringAsync("x");
            return field.Log.Lines.Any(static l =>
                l.Contains("are ejected", StringComparison.Ordinal)
                && l.Contains(Field.DeadAddress(1), StringComparison.Ordinal)
                && l.Contains("failures in a row to connect, the last: ", StringComparison.Ordinal)
                && l.Contains("refused", StringComparison.OrdinalIgnoreCase));
        });
    }

    [Fact]
    public async Task A_body_whose_own_source_fails_is_sent_once()
    {
        await using var field = await Field.StartAsync();
        var servers = await StartThreeAsync(field);
        using var client = field.Client();

        await ExpectSentOnceAsync(client, servers, static () => throw new HttpRequestException(HttpRequestError.ConnectionError, "the source refused"));
    }

    [Fact]
    public async Task A_body_that_comes_of_another_service_whose_instances_are_dead_is_sent_once()
    {
        await using var field = await Field.StartAsync();
        var servers = await StartThreeAsync(field);
        await field.RegisterAsync(Field.DeadAddress(1), service: "files");
        await field.RegisterAsync(Field.DeadAddress(2), service: "files");
        var clients = field.Application(static s =>
        {
            s.AddHttpClient("client").AddEtcdDiscovery(Field.Service);
            s.AddHttpClient("files").AddEtcdDiscovery("files");
        }).GetRequiredService<IHttpClientFactory>();
        using var client = clients.CreateClient("client");
        using var files = clients.CreateClient("files");

        await ExpectSentOnceAsync(client, servers, async () =>
        {
            var e = await Assert.ThrowsAsync<HttpRequestException>(() => files.GetAsync("x"));
            Assert.Contains("2 instances tried", e.Message, StringComparison.Ordinal);
            throw e;
        });
    }

    /// <summary>The instance serves the connections that it has, and accepts no more: it stops, or has no handles left.</summary>
    [Fact]
    public async Task A_body_that_comes_of_the_same_instance_is_sent_once_though_that_one_accepts_no_further_connection()
    {
        await using var field = await Field.StartAsync();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var address = listener.LocalEndpoint.ToString()!;
        await field.RegisterAsync(address);
        using var client = field.Client(static o => (o.Policy, o.Ejection.Enabled) = ("RoundRobin", false));
        var first = client.GetStringAsync("x");
        using var connection = await listener.AcceptTcpClientAsync();
        listener.Stop();
        await connection.GetStream().ReadExactlyAsync(new byte[10]);
        await connection.GetStream().WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"u8.ToArray());
        Assert.Equal("hello", await first);

        async Task CallAsync(string instance)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "files/1");
            request.Options.Set(EtcdRequestOptions.Instance, instance);
            using var response = await client.SendAsync(request);
        }

        var other = await field.StartServerAsync();
        await Eventually.IsTrue(async () =>
        {
            var call = CallAsync(other.Address);
            await call.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return call.IsCompletedSuccessfully;
        });

        // By turns: one of them goes to the connection that is open.
        for (var i = 0; i < 2; i++)
        {
            using var content = new FailingContent(() => CallAsync(address));

            var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.PostAsync("x", content));

            Assert.Contains($"1 instance tried ({address})", e.Message, StringComparison.Ordinal);
            Assert.Equal(1, content.Serialised);
        }
    }

    /// <summary>.NET repeats requests without a body where a connection ends without an answer, but the server may have done what they say.</summary>
    [Theory]
    [InlineData("POST")]
    [InlineData("PATCH")]
    [InlineData("LOCK")]
    public async Task A_request_that_must_not_be_made_twice_is_sent_once_though_it_has_no_body(string method)
    {
        await using var field = await Field.StartAsync();
        var received = new ConcurrentQueue<string>();
        await using var server = new RawServer(request =>
        {
            received.Enqueue(Encoding.ASCII.GetString(request));
            return [];
        });
        await field.RegisterAsync(server.Address);
        using var client = field.Client();
        using var request = new HttpRequestMessage(new HttpMethod(method), "order/5/cancel");

        await Assert.ThrowsAsync<HttpRequestException>(() => client.SendAsync(request));

        Assert.Contains("\r\nContent-Length: 0\r\n", Assert.Single(received), StringComparison.Ordinal);
        Assert.Null(request.Content);
    }

    [Fact]
    public async Task A_request_that_may_be_made_twice_is_repeated_by_dotnet_itself()
    {
        await using var field = await Field.StartAsync();
        await using var server = new RawServer(static _ => []);
        await field.RegisterAsync(server.Address);
        using var client = field.Client();

        await Assert.ThrowsAsync<HttpRequestException>(() => client.DeleteAsync("order/5"));

        Assert.InRange(server.Connections, 2, 4);
    }

    private static async Task<IReadOnlyList<BackendServer>> StartThreeAsync(Field field)
        => [await field.StartServerAsync(), await field.StartServerAsync(), await field.StartServerAsync()];

    private static async Task ExpectSentOnceAsync(HttpClient client, IReadOnlyList<BackendServer> servers, Func<Task> readSourceAsync)
    {
        using var content = new FailingContent(readSourceAsync);

        await Assert.ThrowsAnyAsync<Exception>(() => client.PostAsync("x", content));

        Assert.Equal(1, content.Serialised);
        Assert.InRange(servers.Sum(static s => s.Requests), 0, 1);
    }

    /// <summary>Accepts, and breaks off at once.</summary>
    private sealed class ResettingServer : TcpServer
    {
        private int _connections;

        /// <summary>How many there were.</summary>
        public int Connections => Volatile.Read(ref _connections);

        protected override Task ServeAsync(TcpClient client, CancellationToken stop)
        {
            Interlocked.Increment(ref _connections);
            client.LingerState = new LingerOption(enable: true, seconds: 0);
            return Task.CompletedTask;
        }
    }

    /// <summary>Sends a part, and then cannot read the rest at its source.</summary>
    private sealed class FailingContent(Func<Task> readSourceAsync) : HttpContent
    {
        public int Serialised { get; private set; }

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            Serialised++;
            await stream.WriteAsync(new byte[50]);
            await stream.FlushAsync();
            await readSourceAsync();
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 100;
            return true;
        }
    }
}
