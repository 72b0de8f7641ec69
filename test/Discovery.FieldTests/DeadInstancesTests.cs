using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text;
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
        var servers = new List<BackendServer>();
        for (var i = 0; i < 3; i++)
        {
            servers.Add(await field.StartServerAsync());
        }

        using var client = field.Client();
        using var content = new FailingContent();

        await Assert.ThrowsAnyAsync<Exception>(() => client.PostAsync("x", content));

        Assert.Equal(1, content.Serialised);
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

    /// <summary>Sends a part, and then cannot connect to where it has the rest from.</summary>
    private sealed class FailingContent : HttpContent
    {
        public int Serialised { get; private set; }

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            Serialised++;
            await stream.WriteAsync(new byte[50]);
            await stream.FlushAsync();
            throw new HttpRequestException(HttpRequestError.ConnectionError, "the source refused");
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 100;
            return true;
        }
    }
}
