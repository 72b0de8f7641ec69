using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discovery.AspNetCore.Tests.Calls;

public sealed class CallTests
{
    [Fact]
    public async Task Round_robin_shares_calls_evenly()
    {
        await using var harness = new Harness();
        for (var i = 0; i < 3; i++)
        {
            await harness.StartServerAsync();
        }

        using var client = harness.Client();
        var answers = new List<string>();
        for (var i = 0; i < 300; i++)
        {
            answers.Add(await client.GetStringAsync("x"));
        }

        Assert.All(answers.CountBy(a => a), c => Assert.Equal(100, c.Value));
    }

    [Theory]
    [InlineData(HttpProtocols.Http1)]
    [InlineData(HttpProtocols.Http2)]
    public async Task A_call_is_in_flight_until_its_body_ends(HttpProtocols protocols)
    {
        var more = new TaskCompletionSource();
        await using var harness = new Harness();
        await harness.StartServerAsync(
            async c =>
            {
                await c.Response.WriteAsync("first ");
                await c.Response.Body.FlushAsync();
                await more.Task;
                await c.Response.WriteAsync("last");
            },
            protocols);
        using var client = harness.Client(protocols == HttpProtocols.Http2 ? HttpVersion.Version20 : HttpVersion.Version11);

        using var response = await client.GetAsync("x", HttpCompletionOption.ResponseHeadersRead);
        var instance = harness.Pool.Current!.Instances[0];
        Assert.Equal(1, instance.InFlight);

        more.SetResult();
        Assert.Equal("first last", await response.Content.ReadAsStringAsync());
        Assert.Equal(0, instance.InFlight);
        Assert.Equal(0, instance.FailureRate);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Headers_of_a_body_are_as_without_discovery(bool isChunked)
    {
        await using var harness = new Harness();
        var server = await harness.StartServerAsync(async c =>
        {
            c.Response.ContentType = "text/plain; charset=utf-8";
            c.Response.Headers.ContentLanguage = new string[] { "de", "en" };
            c.Response.ContentLength = isChunked ? null : 5;
            await c.Response.WriteAsync("hello");
        });
        using var client = harness.Client();
        using var plain = new HttpClient { BaseAddress = new Uri($"http://{server.Address}/") };
        foreach (var completion in new[] { HttpCompletionOption.ResponseContentRead, HttpCompletionOption.ResponseHeadersRead })
        {
            using var response = await client.GetAsync("x", completion);
            using var expected = await plain.GetAsync("x", completion);

            Assert.Equal(expected.Content.Headers.ContentLength, response.Content.Headers.ContentLength);
            Assert.Equal(expected.Content.Headers.ToString(), response.Content.Headers.ToString());
            Assert.Equal("hello", await response.Content.ReadAsStringAsync());
        }
    }

    [Fact]
    public async Task A_body_given_up_ends_the_call_and_says_nothing_against_the_endpoint()
    {
        await using var harness = new Harness();
        await harness.StartServerAsync(EndlessAsync);
        using var client = harness.Client();

        var response = await client.GetAsync("x", HttpCompletionOption.ResponseHeadersRead);
        var stream = await response.Content.ReadAsStreamAsync();
        var reading = Task.Run(async () =>
        {
            while (await stream.ReadAsync(new byte[100]) > 0)
            {
            }
        });
        var instance = harness.Pool.Current!.Instances[0];
        Assert.Equal(1, instance.InFlight);
        response.Dispose();

        await Eventually.IsTrue(() => reading.IsCompleted);
        Assert.Equal((0, 0.0), (instance.InFlight, instance.FailureRate));
        _ = reading.Exception;
    }

    [Fact]
    public async Task A_body_that_breaks_off_counts_against_the_endpoint()
    {
        await using var harness = new Harness();
        await harness.StartServerAsync(async c =>
        {
            c.Response.ContentLength = 100;
            await c.Response.WriteAsync("first");
            await c.Response.Body.FlushAsync();
            c.Abort();
        });
        using var client = harness.Client();

        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync("x"));

        var instance = harness.Pool.Current!.Instances[0];
        Assert.Equal(0, instance.InFlight);
        Assert.True(instance.FailureRate > 0);
    }

    [Theory]
    [InlineData(200, false)]
    [InlineData(404, false)]
    [InlineData(501, false)]
    [InlineData(500, true)]
    [InlineData(503, true)]
    public async Task A_status_says_whether_the_endpoint_failed(int status, bool isFailure)
    {
        await using var harness = new Harness();
        await harness.StartServerAsync(c =>
        {
            c.Response.StatusCode = status;
            return Task.CompletedTask;
        });
        using var client = harness.Client();

        using var response = await client.GetAsync("x");

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(isFailure, harness.Pool.Current!.Instances[0].FailureRate > 0);
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(5, false)]
    [InlineData(13, true)]
    [InlineData(14, true)]
    public async Task A_grpc_status_counts_in_trailers_as_in_headers(int status, bool isFailure)
    {
        foreach (var inTrailers in new[] { true, false })
        {
            await using var harness = new Harness();
            await harness.StartServerAsync(
                async c =>
                {
                    c.Response.ContentType = "application/grpc";
                    if (inTrailers)
                    {
                        c.Response.DeclareTrailer("grpc-status");
                        await c.Response.Body.WriteAsync(new byte[5]);
                        c.Response.AppendTrailer("grpc-status", status.ToString(System.Globalization.CultureInfo.InvariantCulture));
                    }
                    else
                    {
                        c.Response.Headers["grpc-status"] = status.ToString(System.Globalization.CultureInfo.InvariantCulture);
                    }
                },
                HttpProtocols.Http2);
            using var client = harness.Client(HttpVersion.Version20);

            using var response = await client.GetAsync("x");

            var instance = harness.Pool.Current!.Instances[0];
            Assert.Equal((0, isFailure), (instance.InFlight, instance.FailureRate > 0));
        }
    }

    [Fact]
    public async Task An_endpoint_that_leaves_finishes_its_calls_and_then_closes_its_connections()
    {
        var more = new TaskCompletionSource();
        var clock = new FakeTimeProvider();
        await using var harness = new Harness(services: s => Microsoft.Extensions.DependencyInjection.ServiceCollectionServiceExtensions.AddKeyedSingleton<TimeProvider>(s, EtcdServiceKeys.TimeProvider, clock));
        var leaver = await harness.StartServerAsync(async c =>
        {
            await c.Response.WriteAsync("first ");
            await c.Response.Body.FlushAsync();
            await more.Task;
            await c.Response.WriteAsync("last");
        });
        using var client = harness.Client();
        using var response = await client.GetAsync("x", HttpCompletionOption.ResponseHeadersRead);
        var stayer = await harness.StartServerAsync();

        // Draining, and then gone: an orderly goodbye.
        harness.Etcd.Put($"services/svc/{leaver.Address}", System.Text.Encoding.UTF8.GetBytes($$$"""{"Addr":"{{{leaver.Address}}}","Metadata":{"draining":true}}"""));
        harness.Deregister(leaver.Address);
        await Eventually.IsTrue(() => harness.Pool.Current!.Instances is [var only] && only.Record.Address == stayer.Address);
        clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(1, leaver.Connections);

        more.SetResult();
        Assert.Equal("first last", await response.Content.ReadAsStringAsync());
        clock.Advance(TimeSpan.FromSeconds(5));
        await Eventually.IsTrue(() => leaver.Connections == 0);
        Assert.Equal(stayer.Address, await client.GetStringAsync("x"));
    }

    [Fact]
    public async Task A_call_that_never_ends_is_cut_half_an_hour_after_its_endpoint_left()
    {
        var clock = new FakeTimeProvider();
        await using var harness = new Harness(services: s => Microsoft.Extensions.DependencyInjection.ServiceCollectionServiceExtensions.AddKeyedSingleton<TimeProvider>(s, EtcdServiceKeys.TimeProvider, clock));
        var leaver = await harness.StartServerAsync(EndlessAsync);
        using var client = harness.Client();
        using var response = await client.GetAsync("x", HttpCompletionOption.ResponseHeadersRead);
        harness.Etcd.Put($"services/svc/{leaver.Address}", System.Text.Encoding.UTF8.GetBytes($$$"""{"Addr":"{{{leaver.Address}}}","Metadata":{"draining":true}}"""));
        harness.Deregister(leaver.Address);
        await Eventually.IsTrue(() => harness.Pool.Current!.Instances.Count == 0);

        clock.Advance(TimeSpan.FromMinutes(29));
        Assert.Equal(1, leaver.Connections);
        clock.Advance(TimeSpan.FromMinutes(2));

        await Eventually.IsTrue(() => leaver.Connections == 0);
        Assert.True(harness.Log.Has(Microsoft.Extensions.Logging.LogLevel.Warning, "1 calls", leaver.Address));
    }

    [Fact]
    public async Task A_process_that_was_restarted_at_its_address_starts_with_a_clean_record()
    {
        await using var harness = new Harness();
        var server = await harness.StartServerAsync();
        harness.Register(server.Address, id: "a");
        using var client = harness.Client();
        await client.GetStringAsync("x");
        var before = harness.Pool.Current!.Instances[0];

        harness.Register(server.Address, id: "a", scheme: "http");
        await Eventually.IsTrue(() => harness.Pool.Current!.Instances[0].Record.Scheme == "http");
        Assert.Same(before, harness.Pool.Current!.Instances[0]);

        harness.Register(server.Address, id: "b");
        await Eventually.IsTrue(() => harness.Pool.Current!.Instances[0].Record.InstanceId == "b");
        Assert.NotSame(before, harness.Pool.Current!.Instances[0]);
    }

    private static async Task EndlessAsync(HttpContext context)
    {
        while (!context.RequestAborted.IsCancellationRequested)
        {
            await context.Response.WriteAsync("more ");
            await context.Response.Body.FlushAsync();
        }
    }
}
